/** What is computed of a question once, for as long as somebody holds its vector. */
import { dotTable, encode, nearestCells, project } from './fingerprint.ts'
import type { Insight } from './router.ts'
import type { Space } from './space.ts'

/** Where a vector falls, and what the last look-up found. Its dot products are soon computed again, and not soon collected. */
interface PreparedQuery {
  cells: readonly number[]
  code: string
  known?: { subject: string; insight: Insight }
}

/** Prepares each vector once, for as long as somebody holds it: an embedder's cache gives the same one for equal texts. */
export function createQueries(space: Space, probes: number) {
  const tableOf = (vector: Float32Array) => dotTable(space, project(space, vector))
  const prepared = new WeakMap<Float32Array, PreparedQuery>()
  return {
    /** With its dot products, made anew where they are wanted again. */
    of(vector: Float32Array): { query: PreparedQuery; table: () => Float32Array } {
      const known = prepared.get(vector)
      if (known) return { query: known, table: () => tableOf(vector) }
      const table = tableOf(vector)
      const query = { cells: nearestCells(space, table, probes), code: encode(space, table) }
      prepared.set(vector, query)
      return { query, table: () => table }
    },
  }
}
