/** One text as the embedder, the projection and codes of several lengths see it, and how alike two texts look to each. */
import type { Embedder } from '../../embeddings/embedder.ts'
import { type DecodedCode, decode, dotTable, encode, project, similarity } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { cosine } from './measures.ts'

/** How many hex digits of a code are kept. */
export const DIGITS = [2, 3, 4, 7, 10, 16] as const

export interface Seen {
  /** As the embedder gives it. */
  raw: Float32Array
  /** As the space projects it: what an exact comparison sees. */
  exact: Float32Array
  table: Float32Array
  code: string
}

/** `raw` before the projection, `exact` after it, or after so many digits of the code. */
export type View = 'raw' | 'exact' | (typeof DIGITS)[number]
export const VIEWS: readonly View[] = ['raw', 'exact', ...DIGITS]

const BATCH = 64

export async function look(embedder: Embedder, space: Space, texts: readonly string[]): Promise<Seen[]> {
  const seen: Seen[] = []
  for (let at = 0; at < texts.length; at += BATCH) {
    for (const raw of await embedder.embed(texts.slice(at, at + BATCH))) {
      const exact = project(space, raw)
      const table = dotTable(space, exact)
      seen.push({ raw, exact, table, code: encode(space, table) })
    }
  }
  return seen
}

/**
 * How alike texts look: the asker's vector is exact, as a node knows its own question, and only what it is compared with
 * is coarse, as a packet is.
 */
export function comparer(space: Space, view: View, known: readonly Seen[]): (asked: Seen, index: number) => number {
  if (view === 'raw') return (asked, index) => cosine(asked.raw, (known[index] as Seen).raw)
  if (view === 'exact') return (asked, index) => cosine(asked.exact, (known[index] as Seen).exact)
  const decoded = known.map(({ code }) => decode(space, code.slice(0, view)))
  return (asked, index) => similarity(asked.table, decoded[index] as DecodedCode)
}
