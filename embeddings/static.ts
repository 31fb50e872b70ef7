/**
 * The built-in embedder, so that the sidecar is useful in its first second: no download, no native code, microseconds.
 *
 * Words, the 3- to 5-grams of their characters and a few measures of shape, hashed into signed buckets (the hashing
 * trick, Weinberger et al. 2009). It knows spelling, not meaning: "car" and "automobile" are strangers to it.
 *
 * Peers must get the same vector for the same text, so only integers and the correctly rounded IEEE operations
 * + - * / sqrt are used, in a fixed order; never Math.log or Math.exp, whose last bit differs between engines.
 */
import type { Embedder } from './embedder.ts'
import { excerpt } from './excerpt.ts'
import { FUNCTION_WORDS } from './function-words.ts'
import { DENSE, DIGIT, LETTER, SEPARATOR, UNIT_CLASSES } from './unit-classes.ts'

const DIMENSIONS = 512
/** The first buckets hold the shape, the others hashed words and n-grams. */
const SHAPE_BUCKETS = 16
const HASHED_BUCKETS = DIMENSIONS - SHAPE_BUCKETS
const MAX_UNITS = 4_000
/** NFKC may lengthen a text (U+FDFA becomes 18 characters); what is beyond this is dropped. */
const MAX_NORMALISED_UNITS = 2 * MAX_UNITS

/** By hand, looking at predicted outcomes and at intents found; each may be halved or doubled at little loss. */
const WORD_WEIGHT = 1
const GRAM_WEIGHT = 0.7
const FUNCTION_WORD_WEIGHT = 0.35
const SHAPE_WEIGHT = 0.5
const SHORTEST_GRAM = 3
const LONGEST_GRAM = 5
const LONGEST_DENSE_GRAM = 3

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
/** Keeps the hash of the word `the` apart from that of the gram `the`. */
const WORD_SEED = 0x5bd1e995
const BOUNDARY = 0x20

/**
 * Counts of the distinct features of one text: open addressing, reused from text to text by means of `epoch`.
 * A unit begins at most 3 features and a word one more, so the table is never more than half full.
 */
const SLOTS = 1 << 16
const slotHash = new Int32Array(SLOTS)
const slotEpoch = new Int32Array(SLOTS)
const slotCount = new Uint16Array(SLOTS)
const slotWeight = new Float64Array(SLOTS)
/** The slots in use, in order of first appearance, so that sums are always taken in the same order. */
const used = new Int32Array(SLOTS)
const units = new Uint16Array(MAX_NORMALISED_UNITS + 2)
const sums = new Float64Array(DIMENSIONS)
let epoch = 0
let usedCount = 0

const functionWords = new Set(
  FUNCTION_WORDS.map(word => {
    for (let i = 0; i < word.length; i++) units[i] = word.charCodeAt(i)
    return hashWord(0, word.length)
  }),
)

export function createStaticEmbedder(): Embedder {
  return {
    space: 'lexical-1',
    dimensions: DIMENSIONS,
    inline: true,
    async embed(texts, { signal } = {}) {
      signal?.throwIfAborted()
      return texts.map(embedText)
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** The vector of one text: 512 float32 of Euclidean length 1, or all zeros when it holds no word. */
export function embedText(text: string): Float32Array {
  const shown = excerpt(text, MAX_UNITS).normalize('NFKC')
  const length = Math.min(shown.length, MAX_NORMALISED_UNITS)
  const lower = shown.toLowerCase()
  const lowerLength = Math.min(lower.length, MAX_NORMALISED_UNITS)
  for (let i = 0; i < lowerLength; i++) units[i] = lower.charCodeAt(i)

  const words = countFeatures(lowerLength)
  const vector = new Float32Array(DIMENSIONS)
  if (words === 0) return vector

  sums.fill(0)
  for (let i = 0; i < usedCount; i++) {
    const slot = used[i] as number
    const hash = finalise(slotHash[slot] as number)
    const bucket = SHAPE_BUCKETS + Math.floor(((hash >>> 1) * HASHED_BUCKETS) / 0x80000000)
    const value = (slotWeight[slot] as number) * Math.sqrt(slotCount[slot] as number)
    sums[bucket] = (sums[bucket] as number) + ((hash & 1) === 0 ? value : -value)
  }
  scaleTo(1, SHAPE_BUCKETS, DIMENSIONS)
  measureShape(shown, length, words)
  scaleTo(1, 0, DIMENSIONS)
  vector.set(sums)
  return vector
}

/** Fills the table with the features of `units`; returns how many words were seen. */
function countFeatures(length: number): number {
  epoch++
  usedCount = 0
  let words = 0
  let start = 0
  while (start < length) {
    const kind = classOf(start)
    if (kind === SEPARATOR) {
      start++
      continue
    }
    let end = start + 1
    let digits = kind === DIGIT
    if (kind === DENSE) {
      while (end < length && classOf(end) === DENSE) end++
      addDenseRun(start, end)
    } else {
      for (; end < length; end++) {
        const next = classOf(end)
        if (next === SEPARATOR || next === DENSE) break
        if (next === LETTER) digits = false
      }
      if (digits) addNumber(end - start)
      else addWord(start, end)
    }
    words++
    start = end
  }
  return words
}

/** A number counts by how many digits it has: 17 and 42 make a question of the same kind. */
function addNumber(digits: number): void {
  add(Math.imul(WORD_SEED ^ Math.min(digits, 9), FNV_PRIME), WORD_WEIGHT)
}

function addWord(start: number, end: number): void {
  const hash = hashWord(start, end)
  const weight = functionWords.has(hash) ? FUNCTION_WORD_WEIGHT : 1
  add(hash, WORD_WEIGHT * weight)

  // Grams run over the word with a mark at either end: 3-grams of "cat" are " ca", "cat", "at ".
  const last = end - start + 1
  for (let from = 0; from <= last + 1 - SHORTEST_GRAM; from++) {
    let gram = FNV_OFFSET
    for (let at = from; at <= last && at < from + LONGEST_GRAM; at++) {
      const unit = at === 0 || at === last ? BOUNDARY : (units[start + at - 1] as number)
      gram = Math.imul(gram ^ unit, FNV_PRIME)
      if (at - from + 1 >= SHORTEST_GRAM) add(gram, GRAM_WEIGHT * weight)
    }
  }
}

function hashWord(start: number, end: number): number {
  let hash = WORD_SEED
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (units[i] as number), FNV_PRIME)
  return hash
}

function addDenseRun(start: number, end: number): void {
  for (let from = start; from < end; from++) {
    let gram = FNV_OFFSET
    for (let at = from; at < end && at < from + LONGEST_DENSE_GRAM; at++) {
      gram = Math.imul(gram ^ (units[at] as number), FNV_PRIME)
      add(gram, GRAM_WEIGHT)
    }
  }
}

function add(hash: number, weight: number): void {
  let slot = finalise(hash) & (SLOTS - 1)
  while (slotEpoch[slot] === epoch && slotHash[slot] !== hash) slot = (slot + 1) & (SLOTS - 1)
  if (slotEpoch[slot] === epoch) {
    slotCount[slot] = (slotCount[slot] as number) + 1
    return
  }
  slotEpoch[slot] = epoch
  slotHash[slot] = hash
  slotCount[slot] = 1
  slotWeight[slot] = weight
  used[usedCount++] = slot
}

/** MurmurHash3's 32-bit finaliser: FNV alone mixes its low bits too little. */
function finalise(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/**
 * Length, lines, digits, capitals, and signs of questions, code and formulas, each squashed to 0..1 by a fixed scale:
 * `n / (n + scale)`, which is one half at n = scale.
 */
function measureShape(shown: string, length: number, words: number): void {
  let digits = 0
  let capitals = 0
  let lines = 0
  let questions = 0
  let code = 0
  let formula = 0
  let stops = 0
  let foreign = 0
  for (let i = 0; i < length; i++) {
    const unit = shown.charCodeAt(i)
    if (unit >= 0x30 && unit <= 0x39) digits++
    else if (unit >= 0x41 && unit <= 0x5a) capitals++
    else if (unit >= 0x80) foreign++
    else if (unit === 0x0a) lines++
    else if (unit === 0x3f) questions++
    else if (unit === 0x2e || unit === 0x2c) stops++
    else if (CODE_SIGNS.includes(unit)) code++
    else if (FORMULA_SIGNS.includes(unit)) formula++
  }
  const w = SHAPE_WEIGHT
  sums[0] = w * squash(words, 12)
  sums[1] = w * squash(words, 60)
  sums[2] = w * squash(words, 250)
  sums[3] = w * squash(lines, 1)
  sums[4] = w * squash(lines, 8)
  sums[5] = w * Math.min(1, (4 * digits) / length)
  sums[6] = w * Math.min(1, (4 * capitals) / length)
  sums[7] = w * Math.min(1, (4 * foreign) / length)
  sums[8] = w * squash(questions, 1)
  sums[9] = w * squash(code, 4)
  sums[10] = w * squash(formula, 4)
  sums[11] = w * squash(digits, 6)
  sums[12] = w * squash(stops, 3)
}

const CODE_SIGNS = unitsOf('{}[]();<>_`"#&|@~')
const FORMULA_SIGNS = unitsOf('+-*/=^$%\\')

function unitsOf(signs: string): number[] {
  return Array.from(signs, sign => sign.charCodeAt(0))
}

function squash(value: number, scale: number): number {
  return value / (value + scale)
}

/** Brings the Euclidean length of a stretch of `sums` to `target`. */
function scaleTo(target: number, from: number, to: number): void {
  let square = 0
  for (let i = from; i < to; i++) square += (sums[i] as number) * (sums[i] as number)
  const factor = square === 0 ? 0 : target / Math.sqrt(square)
  for (let i = from; i < to; i++) sums[i] = (sums[i] as number) * factor
}

function classOf(index: number): number {
  return UNIT_CLASSES[units[index] as number] as number
}
