/**
 * Which rows of its table the built-in embedder adds up for a text: those of words and pairs of neighbouring words that
 * it knows by their hash, and those of the character n-grams of other words, which fall into buckets (the hashing
 * trick, Weinberger et al. 2009), so that typos and rare words count too.
 */
import { DENSE, DIGIT } from './unit-classes.ts'
import { FNV_OFFSET, FNV_PRIME, finalise, MAX_NORMALISED_UNITS, numberHash, readWords, type Words } from './words.ts'

const SHORTEST_GRAM = 3
const LONGEST_GRAM = 5
const LONGEST_DENSE_GRAM = 3
/** What is longer is no word (a key, base64): its first n-grams are enough. */
const LONGEST_WORD = 32
const BOUNDARY = 0x20

/** Which hashes have a row of their own, and into how many rows after those the n-grams go. */
export interface Vocabulary {
  /** Hashes of words and pairs; a hash's place is its row. */
  readonly hashes: Uint32Array
  readonly grams: number
  /** Open addressing, at most half full: a row, or −1. A power of two long. */
  readonly slots: Int32Array
}

export function createVocabulary(hashes: Uint32Array, grams: number): Vocabulary {
  const slots = new Int32Array(1 << (33 - Math.clz32(hashes.length))).fill(-1)
  const mask = slots.length - 1
  hashes.forEach((hash, row) => {
    let slot = hash & mask
    while (slots[slot] !== -1) slot = (slot + 1) & mask
    slots[slot] = row
  })
  return { hashes, grams, slots }
}

/** The features of the text read last: buffers that the next text overwrites. */
export interface Features {
  /** In order of appearance. */
  readonly rows: Int32Array
  /** What each counts for: 1, or an equal part of 1 for the n-grams of one word. */
  readonly weights: Float64Array
  count: number
}

/** A unit begins at most 3 features, and a word adds two. */
const MOST_FEATURES = 5 * MAX_NORMALISED_UNITS
const features: Features = { rows: new Int32Array(MOST_FEATURES), weights: new Float64Array(MOST_FEATURES), count: 0 }

export function readFeatures(text: string, vocabulary: Vocabulary): { words: Words; features: Features } {
  const words = readWords(text)
  features.count = 0
  for (let i = 0; i < words.count; i++) {
    const row = findWord(words, i, vocabulary)
    if (row >= 0) add(row, 1)
    else if (words.kinds[i] === DENSE) addDenseRun(words, i, vocabulary)
    else addGrams(words, i, vocabulary)
    const pair = find(vocabulary, words.pairs[i] as number)
    if (pair >= 0) add(pair, 1)
  }
  return { words, features }
}

/** A number that has no row counts by how many digits it has. */
function findWord({ hashes, kinds, starts, ends }: Words, index: number, vocabulary: Vocabulary): number {
  const row = find(vocabulary, hashes[index] as number)
  if (row >= 0 || kinds[index] !== DIGIT) return row
  return find(vocabulary, numberHash((ends[index] as number) - (starts[index] as number)))
}

/** N-grams run over the word with a mark at either end: the 3-grams of "cat" are " ca", "cat", "at ". */
function addGrams({ starts, ends, units }: Words, index: number, vocabulary: Vocabulary): void {
  const first = features.count
  const start = starts[index] as number
  const last = Math.min((ends[index] as number) - start, LONGEST_WORD) + 1
  for (let from = 0; from <= last + 1 - SHORTEST_GRAM; from++) {
    let gram = FNV_OFFSET
    for (let at = from; at <= last && at < from + LONGEST_GRAM; at++) {
      const unit = at === 0 || at === last ? BOUNDARY : (units[start + at - 1] as number)
      gram = Math.imul(gram ^ unit, FNV_PRIME)
      if (at - from + 1 >= SHORTEST_GRAM) add(bucket(gram, vocabulary), 1)
    }
  }
  share(first, 1)
}

/** Every character of a dense script counts for half a word. */
function addDenseRun({ starts, ends, units }: Words, index: number, vocabulary: Vocabulary): void {
  const first = features.count
  const start = starts[index] as number
  const end = ends[index] as number
  for (let from = start; from < end; from++) {
    let gram = FNV_OFFSET
    for (let at = from; at < end && at < from + LONGEST_DENSE_GRAM; at++) {
      gram = Math.imul(gram ^ (units[at] as number), FNV_PRIME)
      add(bucket(gram, vocabulary), 1)
    }
  }
  share(first, (end - start) / 2)
}

/** The features from `first` on count for `total` together. */
function share(first: number, total: number): void {
  const { weights, count } = features
  const weight = total / (count - first)
  for (let i = first; i < count; i++) weights[i] = weight
}

function add(row: number, weight: number): void {
  const { rows, weights, count } = features
  rows[count] = row
  weights[count] = weight
  features.count = count + 1
}

function find({ hashes, slots }: Vocabulary, hash: number): number {
  const mask = slots.length - 1
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const row = slots[slot] as number
    if (row === -1 || hashes[row] === hash) return row
  }
}

function bucket(gram: number, { hashes, grams }: Vocabulary): number {
  return hashes.length + Math.floor(((finalise(gram) >>> 1) * grams) / 0x80000000)
}
