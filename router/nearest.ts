/** The nearest of thousands of codes, in time that grows with their number alone: no heap, no sorting. */
import type { CellColumn, PairTable } from './cell-column.ts'

export interface Near<T> {
  item: T
  /** Cosine between the query and the item's code, −1..1. */
  similarity: number
}

/** Similarities are counted in steps of 1/512; where the limit falls within a step, all of that step are left out. */
const STEPS = 1024
const stepOf = (similarity: number) => Math.min(STEPS - 1, Math.floor(((similarity + 1) / 2) * (STEPS - 1)))

/**
 * Those that are at least so similar; of more than `limit` the most similar, up to a step of 1/512. Where even the first
 * step holds more than the limit, some of it.
 */
export function nearest<T>(
  columns: readonly CellColumn<T>[],
  query: PairTable,
  minSimilarity: number,
  limit: number,
): Near<T>[] {
  const total = columns.reduce((sum, { size }) => sum + size, 0)
  const similarities = scratch(total)
  let offset = 0
  for (const column of columns) {
    column.compare(query, similarities, offset)
    offset += column.size
  }
  const least = Math.max(minSimilarity, leastWithin(similarities, total, minSimilarity, limit))

  const found: Near<T>[] = []
  offset = 0
  for (const column of columns) {
    const end = offset + column.size
    for (let at = offset; at < end && found.length < limit; at++) {
      const similarity = similarities[at] as number
      if (similarity >= least) found.push({ item: column.at(at - offset), similarity: Math.min(1, similarity) })
    }
    offset = end
  }
  return found
}

/** The similarity above which at most `limit` lie, if that is more than none. */
function leastWithin(similarities: Float64Array, total: number, minSimilarity: number, limit: number): number {
  counts.fill(0)
  for (let i = 0; i < total; i++) {
    const similarity = similarities[i] as number
    if (similarity < minSimilarity) continue
    const step = stepOf(similarity)
    counts[step] = (counts[step] as number) + 1
  }
  let count = 0
  for (let step = STEPS - 1; step >= 0; step--) {
    const more = count + (counts[step] as number)
    if (more > limit) return count === 0 ? similarityOf(step) : similarityOf(step + 1)
    count = more
  }
  return minSimilarity
}

function similarityOf(step: number): number {
  return (2 * step) / (STEPS - 1) - 1
}

/** One for all look-ups, which never overlap: they do not wait for anything. */
const counts = new Uint32Array(STEPS)
let buffer = new Float64Array(1024)

function scratch(length: number): Float64Array {
  if (buffer.length < length) buffer = new Float64Array(2 * length)
  return buffer
}
