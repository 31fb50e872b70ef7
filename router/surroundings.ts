/** Where a question falls among the codes, what lies around it there, and what it would be if more was known. */
import type { Near } from './code-index.ts'
import { type Evidence, SELF } from './evidence.ts'
import { type DecodedCode, decode, dotTable, encode, nearestCells, project, similarity } from './fingerprint.ts'
import { modelFamily } from './model-variant.ts'
import type { Outcome } from './outcome.ts'
import type { Insight } from './router.ts'
import type { Space } from './space.ts'
import type { Standing } from './synthesis/agreement.ts'

/** What lies around a question. */
export interface Surroundings {
  /** The question's fingerprint, 16 hex digits. */
  code: string
  /** Those that were looked into, nearest first. */
  cells: readonly number[]
  /** Live outcomes of any model, own and peers', at most a few dozen: the most similar. */
  neighbours: Near<Evidence>[]
  /** What their authors' words have been worth here so far. */
  standing(author: string): Standing
}

/** Where a vector falls, and what the last look-up found. Its dot products are soon computed again, and not soon collected. */
export interface PreparedQuery {
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

/** A person's words on answers to the very question that is asked, just now; even those would only be known by its code. */
export function supposedOutcomes(
  space: Space,
  dots: Float32Array,
  signals: readonly number[],
  said: Pick<Outcome, 'code' | 'model' | 'domain' | 'time'>,
): Near<Evidence>[] {
  const decoded = decode(space, said.code)
  const likeness = similarity(dots, decoded)
  return signals.map(signal => ({ item: supposedOutcome({ ...said, signal }, decoded), similarity: likeness }))
}

function supposedOutcome(
  said: Pick<Outcome, 'code' | 'model' | 'domain' | 'signal' | 'time'>,
  { cell, norm }: DecodedCode,
): Evidence {
  return {
    ...said,
    answer: '',
    observer: 'h',
    observerWeight: 1,
    intervention: 0,
    revision: 0,
    withdrawn: false,
    author: SELF,
    expires: Number.POSITIVE_INFINITY,
    cell,
    norm: Math.min(1, norm),
    trace: { lean: 0, told: 0 },
    family: modelFamily(said.model),
    place: 0,
  }
}
