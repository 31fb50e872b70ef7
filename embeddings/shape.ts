/** What a text looks like, apart from its words: how long, how many lines, digits, and signs of code and formulas. */
import type { Words } from './words.ts'

export const SHAPE_DIMENSIONS = 8

const CODE = 1
const FORMULA = 2
const SIGNS = new Uint8Array(0x80)
for (const sign of '{}[]();<>_`"#&|@~') SIGNS[sign.charCodeAt(0)] = CODE
for (const sign of '+-*/=^$%\\') SIGNS[sign.charCodeAt(0)] = FORMULA

/** Writes the eight measures, each 0 to 1, times `weight` into `target` from `offset` on. */
export function measureShape(
  { shown, length, count }: Words,
  weight: number,
  target: Float64Array,
  offset: number,
): void {
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
  target[offset] = weight * squash(count, 12)
  target[offset + 1] = weight * squash(count, 60)
  target[offset + 2] = weight * squash(count, 250)
  target[offset + 3] = weight * squash(lines, 4)
  target[offset + 4] = weight * squash(questions, 1)
  target[offset + 5] = weight * squash(code, 4)
  target[offset + 6] = weight * squash(formula, 4)
  target[offset + 7] = weight * squash(digits, 6)
}

/** One half at `scale`, and nearer to 1 the more. */
function squash(value: number, scale: number): number {
  return value / (value + scale)
}
