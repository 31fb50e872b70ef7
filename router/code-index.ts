/** Thousands of codes by cell, laid out so that a look-up compares sixteen at a time (kernels/scan.wat). */
import type { DecodedCode } from './fingerprint.ts'
import { ensureMemory, newScanKernel } from './kernels/kernels.ts'
import { BRANCHES, CELLS, LEVELS } from './space.ts'

/** What is indexed remembers its place; the index alone changes it. */
export interface Placed {
  place: number
}

export interface Near<T> {
  item: T
  /** Cosine between the query and the item's code, −1..1, to within 0.0005. */
  similarity: number
}

export interface CodeIndex<T extends Placed> {
  add(item: T, code: DecodedCode): void
  /** @param cell that of the code it was added with */
  remove(item: T, cell: number): void
  /**
   * Those in `cells` that are at least so similar; of more than `limit` different codes the most similar, up to a step of
   * 1/512. Where even the first step holds more than the limit, some of it. Coarse codes are shared by many items: at most
   * `SHARERS` times the limit are given. Once the cells hold `MAX_COMPARED`, further ones are passed over: given nearest
   * first, the nearest of all are among those seen.
   *
   * @param table as `dotTable` of fingerprint.ts makes it
   */
  near(table: Float32Array, cells: readonly number[], least: number, limit: number): Near<T>[]
}

/** A cell's blocks lie one behind the other, so that the next is on its way when it is wanted. */
interface Cell<T> {
  items: T[]
  /** Address of the first block. */
  at: number
  /** How many blocks there is room for, as a power of two. */
  room: number
}

/** The layout that kernels/scan.wat describes. */
const CODES = 16
const NO_DIGIT = 255
const NORMS_AT = LEVELS * CODES
const BLOCK_BYTES = NORMS_AT + 4 * CODES

const TABLE_AT = 0
const TABLE_BYTES = LEVELS * BRANCHES
const OUT_AT = TABLE_AT + 2 * TABLE_BYTES
/** A place and a similarity. */
const FOUND_BYTES = 8
/** Dot products are rounded to so many steps that fourteen of them and their rounding fit 16 bits. */
const MAX_SUM = 32_760
const MAX_COMPARED = 4_096
const SHARERS = 8

export function createCodeIndex<T extends Placed>(maxItems: number): CodeIndex<T> {
  const { memory, scan } = newScanKernel()
  const cells = new Map<number, Cell<T>>()
  /** Addresses of stretches that nobody uses, by their size as a power of two. */
  const free: number[][] = []
  let end = align(OUT_AT + FOUND_BYTES * (maxItems + CODES))
  let bytes = new Uint8Array()
  let words = new Uint32Array()
  let floats = new Float32Array()
  reserve(end)

  /** Views of a memory that has grown are void. */
  function reserve(size: number): void {
    if (size <= bytes.length) return
    // By at least a quarter, so that growing is rare.
    ensureMemory(memory, Math.max(size, bytes.length + (bytes.length >> 2)))
    bytes = new Uint8Array(memory.buffer)
    words = new Uint32Array(memory.buffer)
    floats = new Float32Array(memory.buffer)
  }

  function allocate(room: number): number {
    const held = free[room]?.pop()
    if (held !== undefined) return held
    const at = end
    end += BLOCK_BYTES << room
    reserve(end)
    return at
  }

  function release(at: number, room: number): void {
    free[room] ??= []
    free[room].push(at)
  }

  /** Room for one more block, emptied. */
  function extend(cell: Cell<T>, blocks: number): void {
    if (blocks > 0 && blocks === 1 << cell.room) {
      const at = allocate(cell.room + 1)
      bytes.copyWithin(at, cell.at, cell.at + blocks * BLOCK_BYTES)
      release(cell.at, cell.room)
      cell.at = at
      cell.room++
    }
    const block = cell.at + blocks * BLOCK_BYTES
    bytes.fill(NO_DIGIT, block, block + NORMS_AT)
    floats.fill(Number.NaN, (block + NORMS_AT) >> 2, (block + BLOCK_BYTES) >> 2)
  }

  const blockOf = ({ at }: Cell<T>, place: number) => at + (place >> 4) * BLOCK_BYTES

  /** Low bytes of the int16 first, then high bytes; returns what one of them stands for. */
  function writeTable(table: Float32Array): number {
    let most = 0
    for (let level = 0, at = CELLS; level < LEVELS; level++) {
      let largest = 0
      for (let branch = 0; branch < BRANCHES; branch++) largest = Math.max(largest, Math.abs(table[at++] as number))
      most += largest
    }
    const scale = most / MAX_SUM
    const factor = scale === 0 ? 0 : 1 / scale
    for (let index = 0; index < TABLE_BYTES; index++) {
      const value = Math.round((table[CELLS + index] as number) * factor)
      bytes[TABLE_AT + index] = value
      bytes[TABLE_AT + TABLE_BYTES + index] = value >> 8
    }
    return scale
  }

  return {
    add(item, { cell: name, digits, norm }) {
      const cell = cells.get(name) ?? { items: [], at: allocate(0), room: 0 }
      cells.set(name, cell)
      const place = cell.items.length
      if (place % CODES === 0) extend(cell, place / CODES)
      cell.items.push(item)
      item.place = place
      const block = blockOf(cell, place)
      const lane = place % CODES
      for (let level = 0; level < digits.length; level++) bytes[block + CODES * level + lane] = digits[level] as number
      floats[((block + NORMS_AT) >> 2) + lane] = norm === 0 ? 0 : 1 / norm
    },

    remove(item, name) {
      const cell = cells.get(name)
      if (cell?.items[item.place] !== item) return
      const last = cell.items.pop() as T
      const place = cell.items.length
      const from = blockOf(cell, place)
      const lane = place % CODES
      // The last takes the place of what is gone.
      if (last !== item) {
        const to = blockOf(cell, item.place)
        const toLane = item.place % CODES
        for (let level = 0; level < LEVELS; level++) {
          bytes[to + CODES * level + toLane] = bytes[from + CODES * level + lane] as number
        }
        floats[((to + NORMS_AT) >> 2) + toLane] = floats[((from + NORMS_AT) >> 2) + lane] as number
        cell.items[item.place] = last
        last.place = item.place
      }
      for (let level = 0; level < LEVELS; level++) bytes[from + CODES * level + lane] = NO_DIGIT
      floats[((from + NORMS_AT) >> 2) + lane] = Number.NaN
      if (place > 0) return
      release(cell.at, cell.room)
      cells.delete(name)
    },

    near(table, names, least, limit) {
      const scale = writeTable(table)
      const [similarities, places] = [floats, words]
      const scanned: { items: readonly T[]; end: number }[] = []
      let out = OUT_AT
      let compared = 0
      let threshold = least
      counts.fill(0)
      for (const name of names) {
        const cell = cells.get(name)
        if (!cell) continue
        const from = out
        const last = blockOf(cell, cell.items.length - 1) + BLOCK_BYTES
        out = scan(cell.at, last, TABLE_AT, scale, table[name] as number, threshold, out)
        countSteps(similarities, words, from >> 2, out >> 2)
        // What is not among the nearest of some cells is not among those of all.
        threshold = Math.max(least, leastOfNearest(limit))
        scanned.push({ items: cell.items, end: out >> 2 })
        compared += cell.items.length
        if (compared >= MAX_COMPARED) break
      }
      const found: Near<T>[] = []
      let at = OUT_AT >> 2
      for (const { items, end: until } of scanned) {
        for (; at < until; at += 2) {
          const similarity = similarities[at + 1] as number
          if (similarity < threshold || found.length === SHARERS * limit) continue
          found.push({ item: items[places[at] as number] as T, similarity: Math.min(1, similarity) })
        }
      }
      return found
    },
  }
}

/** Similarities are counted in steps of 1/512; where the limit falls within a step, all of that step are left out. */
const STEPS = 1024
const HALF = (STEPS - 1) / 2
/** One for all look-ups, which never overlap: they do not wait for anything. */
const counts = new Uint32Array(STEPS)
/** Similarities met in the cell at hand, as bits, by their hash. */
const LATELY_SHIFT = 32 - 9
const lately = new Uint32Array(1 << (32 - LATELY_SHIFT))

/** Items of one cell that are exactly as similar have the same code, which counts once; a few are missed, which does no harm. */
function countSteps(floats: Float32Array, words: Uint32Array, from: number, to: number): void {
  lately.fill(0)
  for (let at = from + 1; at < to; at += 2) {
    const bits = words[at] as number
    const slot = Math.imul(bits, 0x9e3779b1) >>> LATELY_SHIFT
    if (lately[slot] === bits) continue
    lately[slot] = bits
    const step = Math.min(STEPS - 1, (((floats[at] as number) + 1) * HALF) | 0)
    counts[step] = (counts[step] as number) + 1
  }
}

/** The similarity above which at most `limit` of those counted lie, if that is more than none. No heap, no sorting. */
function leastOfNearest(limit: number): number {
  let count = 0
  for (let step = STEPS - 1; step >= 0; step--) {
    const more = count + (counts[step] as number)
    if (more > limit) return (count === 0 ? step : step + 1) / HALF - 1
    count = more
  }
  return Number.NEGATIVE_INFINITY
}

function align(address: number): number {
  return Math.ceil(address / 16) * 16
}
