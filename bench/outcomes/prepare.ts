/** Every question of a table once through the built-in embedder and the shipped space. */
import { join } from 'node:path'
import { embedText } from '../../embeddings/static.ts'
import { BUILT_IN_SPACE } from '../../embeddings/table.ts'
import { coarsened, type DisclosureProfile } from '../../router/disclosure.ts'
import { dotTable, encode, nearestCells, project, referenceTexts } from '../../router/fingerprint.ts'
import { loadSpace, type Space } from '../../router/space.ts'

export interface Prepared {
  /** As the embedder made it, for a router. */
  vector: Float32Array
  /** Length 1, for comparing exactly. */
  projected: Float32Array
  table: Float32Array
  cells: number[]
  code: string
}

/** @param probes cells that a look-up reads, as in a router */
export async function prepare(
  texts: readonly string[],
  probes: number,
): Promise<{ space: Space; questions: Prepared[] }> {
  const space = await loadSpace(join(import.meta.dirname, '../../embeddings/spaces', BUILT_IN_SPACE))
  const questions = texts.map(text => {
    const vector = embedText(text)
    const projected = project(space, vector)
    const table = dotTable(space, projected)
    return { vector, projected, table, cells: nearestCells(space, table, probes), code: encode(space, table) }
  })
  return { space, questions }
}

/** What was disclosed of codes that begin alike, by k and these digits, which is all that it depends on. */
const disclosed = new Map<string, string | undefined>()

/** What a profile lets out of a code; undefined where nothing may leave. */
export function disclosedCode(space: Space, { k }: DisclosureProfile, code: string): string | undefined {
  if (k <= 1) return code
  const subject = `${space.id}/${k}/${code.slice(0, 4)}`
  if (!disclosed.has(subject)) {
    disclosed.set(
      subject,
      coarsened(code, k, (prefix, digits) => referenceTexts(space, prefix, digits)),
    )
  }
  return disclosed.get(subject)
}
