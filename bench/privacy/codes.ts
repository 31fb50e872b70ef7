/** A text as an insider can see it, who has the embedder and the codebook as everybody has. */
import { embedText } from '../../embeddings/static.ts'
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'

export function look(space: Space, text: string): { table: Float32Array; code: string } {
  const table = dotTable(space, project(space, embedText(text)))
  return { table, code: encode(space, table) }
}
