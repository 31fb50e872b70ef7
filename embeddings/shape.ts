/** What a text looks like, apart from its words: how long, how many lines, digits, and signs of code and formulas. */
import type { Words } from './words.ts'

export const SHAPE_DIMENSIONS = 8
/** Of the shape beside a meaning of length 1; chosen by predicted outcomes, see train/README.md. */
const SHAPE_WEIGHT = 0.4

const CODE = 1
const FORMULA = 2
const SIGNS = new Uint8Array(0x80)
for (const sign of '{}[]();<>_`"#&|@~') SIGNS[sign.charCodeAt(0)] = CODE
for (const sign of '+-*/=^$%\\') SIGNS[sign.charCodeAt(0)] = FORMULA

/**
 * Makes a text's vector of its meaning, the first `dimensions` components of `sums` at any length, by writing the shape
 * behind it; the whole is brought to Euclidean length 1.
 */
export function addShape(words: Words, sums: Float64Array, dimensions: number): Float32Array {
  scaleToOne(sums, dimensions)
  measureShape(words, sums, dimensions)
  scaleToOne(sums, dimensions + SHAPE_DIMENSIONS)
  return Float32Array.from(sums)
}

/** Brings the first `length` components to Euclidean length 1. */
function scaleToOne(sums: Float64Array, length: number): void {
  let square = 0
  for (let i = 0; i < length; i++) square += (sums[i] as number) * (sums[i] as number)
  if (square === 0) return
  const factor = 1 / Math.sqrt(square)
  for (let i = 0; i < length; i++) sums[i] = (sums[i] as number) * factor
}

/** Writes the eight measures, each 0 to the weight, into `target` from `offset` on. */
export function measureShape({ shown, length, count }: Words, target: Float64Array, offset = 0): void {
  let digits = 0
  let lines = 0
  let questions = 0
  let code = 0
  let formula = 0
  for (let i = 0; i < length; i++) {
    const unit = shown[i] as number
    if (unit >= 0x30 && unit <= 0x39) digits++
    else if (unit === 0x0a) lines++
    else if (unit === 0x3f) questions++
    else if (unit < 0x80) {
      const sign = SIGNS[unit]
      if (sign === CODE) code++
      else if (sign === FORMULA) formula++
    }
  }
  target[offset] = SHAPE_WEIGHT * squash(count, 12)
  target[offset + 1] = SHAPE_WEIGHT * squash(count, 60)
  target[offset + 2] = SHAPE_WEIGHT * squash(count, 250)
  target[offset + 3] = SHAPE_WEIGHT * squash(lines, 4)
  target[offset + 4] = SHAPE_WEIGHT * squash(questions, 1)
  target[offset + 5] = SHAPE_WEIGHT * squash(code, 4)
  target[offset + 6] = SHAPE_WEIGHT * squash(formula, 4)
  target[offset + 7] = SHAPE_WEIGHT * squash(digits, 6)
}

/** One half at `scale`, and nearer to 1 the more. */
function squash(value: number, scale: number): number {
  return value / (value + scale)
}
