/** The evidence of one cell in columns, so that a look-up compares thousands of codes in a few cache lines. */
import type { DecodedCode } from './fingerprint.ts'
import { BRANCHES, CELLS, LEVELS } from './space.ts'

/** Two levels make one symbol; a level that a short code lacks is the 17th branch, and adds nothing. */
const ABSENT = BRANCHES
const SYMBOLS = BRANCHES + 1
const PAIRS = LEVELS / 2
const PAIR_SIZE = SYMBOLS * SYMBOLS

/** A query's dot products by pairs of levels: 7 additions make the similarity to a code. */
export interface PairTable {
  /** q · c for each cell. */
  cells: Float64Array
  pairs: Float64Array
}

/** @param table as `dotTable` of fingerprint.ts makes it */
export function pairTable(table: Float64Array): PairTable {
  const pairs = new Float64Array(PAIRS * PAIR_SIZE)
  for (let pair = 0; pair < PAIRS; pair++) {
    const first = CELLS + 2 * pair * BRANCHES
    for (let a = 0; a < SYMBOLS; a++) {
      const left = a === ABSENT ? 0 : (table[first + a] as number)
      const offset = pair * PAIR_SIZE + a * SYMBOLS
      for (let b = 0; b < BRANCHES; b++) pairs[offset + b] = left + (table[first + BRANCHES + b] as number)
      pairs[offset + ABSENT] = left
    }
  }
  return { cells: table.subarray(0, CELLS), pairs }
}

export interface CellColumn<T> {
  readonly size: number
  add(item: T, code: DecodedCode): void
  remove(item: T): void
  /** In the places of `compare`. */
  at(slot: number): T
  /** Writes the cosine of each item's code into `similarities`, from `offset` on. */
  compare(query: PairTable, similarities: Float64Array, offset: number): void
}

const FIRST_CAPACITY = 16

export function createCellColumn<T>(cell: number): CellColumn<T> {
  const items: T[] = []
  const slots = new Map<T, number>()
  /** Places in `PairTable.pairs`, PAIRS for each item. */
  let places = new Uint16Array(FIRST_CAPACITY * PAIRS)
  let inverseNorms = new Float64Array(FIRST_CAPACITY)

  function grow(): void {
    const [oldPlaces, oldNorms] = [places, inverseNorms]
    places = new Uint16Array(2 * oldPlaces.length)
    inverseNorms = new Float64Array(2 * oldNorms.length)
    places.set(oldPlaces)
    inverseNorms.set(oldNorms)
  }

  return {
    get size() {
      return items.length
    },
    add(item, { digits, norm }) {
      const slot = items.length
      if (slot === inverseNorms.length) grow()
      items.push(item)
      slots.set(item, slot)
      inverseNorms[slot] = norm === 0 ? 0 : 1 / norm
      for (let pair = 0; pair < PAIRS; pair++) {
        const symbol = (digits[2 * pair] ?? ABSENT) * SYMBOLS + (digits[2 * pair + 1] ?? ABSENT)
        places[slot * PAIRS + pair] = pair * PAIR_SIZE + symbol
      }
    },
    remove(item) {
      const slot = slots.get(item)
      const last = items.pop()
      if (slot === undefined || last === undefined) return
      slots.delete(item)
      const end = items.length
      if (slot === end) return
      // The last takes the place of what is gone.
      items[slot] = last
      slots.set(last, slot)
      inverseNorms[slot] = inverseNorms[end] as number
      places.copyWithin(slot * PAIRS, end * PAIRS, (end + 1) * PAIRS)
    },
    at: slot => items[slot] as T,
    compare({ cells, pairs }, similarities, offset) {
      const base = cells[cell] as number
      const { length } = items
      for (let slot = 0, at = 0; slot < length; slot++, at += PAIRS) {
        // In pairs: a chain of eight additions would wait for each.
        const dot =
          base +
          (pairs[places[at] as number] as number) +
          ((pairs[places[at + 1] as number] as number) + (pairs[places[at + 2] as number] as number)) +
          ((pairs[places[at + 3] as number] as number) +
            (pairs[places[at + 4] as number] as number) +
            ((pairs[places[at + 5] as number] as number) + (pairs[places[at + 6] as number] as number)))
        similarities[offset + slot] = dot * (inverseNorms[slot] as number)
      }
    },
  }
}
