/** Cuts a text into words for the built-in embedder, the same way on every machine, and names each by a 32-bit hash. */
import { excerpt } from './excerpt.ts'
import { DENSE, LETTER, SEPARATOR, UNIT_CLASSES } from './unit-classes.ts'

const MAX_UNITS = 4_000
/** NFKC may lengthen a text (U+FDFA becomes 18 characters); what is beyond this is dropped. */
export const MAX_NORMALISED_UNITS = 2 * MAX_UNITS
const MOST_DIGITS = 9

export const FNV_OFFSET = 0x811c9dc5
export const FNV_PRIME = 0x01000193
/** Keeps the hash of the word `the` apart from that of the gram `the`. */
const WORD_SEED = 0x5bd1e995
const PAIR_FACTOR = 0x2c1b3c6d

/** The words of the text read last: buffers that the next text overwrites. */
export interface Words {
  count: number
  /** Where each begins and ends in `units`. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** LETTER, DIGIT when there are only digits, or DENSE for a run of a script that is written without spaces. */
  readonly kinds: Uint8Array
  readonly hashes: Uint32Array
  /** Of the word and the one before it; the start of the text counts as a word. */
  readonly pairs: Uint32Array
  /** The text in lower case, UTF-16. */
  readonly units: Uint16Array
  /** The text as it stood, for its shape. */
  readonly shown: Uint16Array
  length: number
}

const words: Words = {
  count: 0,
  starts: new Int32Array(MAX_NORMALISED_UNITS),
  ends: new Int32Array(MAX_NORMALISED_UNITS),
  kinds: new Uint8Array(MAX_NORMALISED_UNITS),
  hashes: new Uint32Array(MAX_NORMALISED_UNITS),
  pairs: new Uint32Array(MAX_NORMALISED_UNITS),
  units: new Uint16Array(MAX_NORMALISED_UNITS),
  shown: new Uint16Array(MAX_NORMALISED_UNITS),
  length: 0,
}

export function readWords(text: string): Words {
  const { units, starts, ends, kinds, hashes, pairs } = words
  const length = readUnits(text)
  let count = 0
  let before = finalise(WORD_SEED)
  let start = 0
  while (start < length) {
    const kind = UNIT_CLASSES[units[start] as number] as number
    if (kind === SEPARATOR) {
      start++
      continue
    }
    let hash = Math.imul(WORD_SEED ^ (units[start] as number), FNV_PRIME)
    let word = kind
    let end = start + 1
    for (; end < length; end++) {
      const unit = units[end] as number
      const next = UNIT_CLASSES[unit] as number
      if (next === SEPARATOR || (next === DENSE) !== (kind === DENSE)) break
      if (next !== kind) word = LETTER
      hash = Math.imul(hash ^ unit, FNV_PRIME)
    }
    hash = finalise(hash)
    starts[count] = start
    ends[count] = end
    kinds[count] = word
    hashes[count] = hash
    pairs[count] = finalise(Math.imul(before, PAIR_FACTOR) + hash)
    before = hash
    count++
    start = end
  }
  words.count = count
  return words
}

/** Stands for the numbers of so many digits that have no row of their own. */
export function numberHash(digits: number): number {
  return finalise(Math.imul(WORD_SEED ^ Math.min(digits, MOST_DIGITS), FNV_PRIME))
}

/** MurmurHash3's 32-bit finaliser, 0 to 2³² − 1: FNV alone mixes its low bits too little. */
export function finalise(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Fills `shown` and `units`; returns how long the latter is. */
function readUnits(text: string): number {
  const { shown, units } = words
  const cut = excerpt(text, MAX_UNITS)
  for (let i = 0; i < cut.length; i++) {
    const unit = cut.charCodeAt(i)
    if (unit >= 0x80) return readForeignUnits(cut)
    shown[i] = unit
    units[i] = unit >= 0x41 && unit <= 0x5a ? unit + 0x20 : unit
  }
  words.length = cut.length
  return cut.length
}

function readForeignUnits(cut: string): number {
  const { shown, units } = words
  const normal = cut.normalize('NFKC')
  words.length = Math.min(normal.length, MAX_NORMALISED_UNITS)
  for (let i = 0; i < words.length; i++) shown[i] = normal.charCodeAt(i)
  const lower = normal.toLowerCase()
  const length = Math.min(lower.length, MAX_NORMALISED_UNITS)
  for (let i = 0; i < length; i++) units[i] = lower.charCodeAt(i)
  return length
}
