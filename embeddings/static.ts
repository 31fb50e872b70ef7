/**
 * The built-in embedder, so that the sidecar is useful in its first second: no download, no native code, microseconds.
 *
 * A text is the sum of what a small table says of its words, of pairs of neighbouring words, and of the n-grams of words
 * that the table lacks, brought to length 1; beside it stands the text's shape. The table was distilled from a sentence
 * embedder (train/README.md).
 *
 * Peers must get the same vector for the same text, so only integers and the correctly rounded IEEE operations
 * + - * / sqrt are used, in a fixed order; never Math.log or Math.exp, whose last bit differs between engines.
 */
import type { Embedder } from './embedder.ts'
import { readFeatures } from './features.ts'
import { addShape, SHAPE_DIMENSIONS } from './shape.ts'
import { BUILT_IN_SPACE, builtInTable, type StaticTable } from './table.ts'

export interface StaticEmbedderOptions {
  /** The shipped one when absent. */
  table?: StaticTable
  /** Name of the space that the table came with. */
  space?: string
}

export function createStaticEmbedder({
  table = builtInTable(),
  space = BUILT_IN_SPACE,
}: StaticEmbedderOptions = {}): Embedder {
  return {
    space,
    dimensions: table.dimensions + SHAPE_DIMENSIONS,
    inline: true,
    async embed(texts, { signal } = {}) {
      signal?.throwIfAborted()
      return texts.map(text => embedText(text, table))
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** The vector of one text: float32 of Euclidean length 1, or all zeros when it holds no word. */
export function embedText(text: string, table: StaticTable = builtInTable()): Float32Array {
  const { vocabulary, dimensions, scales, rows } = table
  const { words, features } = readFeatures(text, vocabulary)
  const sums = sumsFor(dimensions + SHAPE_DIMENSIONS)
  if (words.count === 0) return Float32Array.from(sums)

  addRow(sums, rows, scales.length - 1, scales[scales.length - 1] as number, dimensions)
  for (let i = 0; i < features.count; i++) {
    const row = features.rows[i] as number
    addRow(sums, rows, row, (scales[row] as number) * (features.weights[i] as number), dimensions)
  }
  return addShape(words, sums, dimensions)
}

let scratch = new Float64Array(0)

/** Zeros, reused from text to text. */
function sumsFor(length: number): Float64Array {
  if (scratch.length === length) scratch.fill(0)
  else scratch = new Float64Array(length)
  return scratch
}

/** Four at a time, which nearly halves the time; a table's dimensions are a multiple of four. */
function addRow(sums: Float64Array, rows: Int8Array, row: number, factor: number, dimensions: number): void {
  const offset = row * dimensions
  for (let i = 0; i < dimensions; i += 4) {
    const at = offset + i
    sums[i] = (sums[i] as number) + factor * (rows[at] as number)
    sums[i + 1] = (sums[i + 1] as number) + factor * (rows[at + 1] as number)
    sums[i + 2] = (sums[i + 2] as number) + factor * (rows[at + 2] as number)
    sums[i + 3] = (sums[i + 3] as number) + factor * (rows[at + 3] as number)
  }
}
