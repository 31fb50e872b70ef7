/** Dot products of one vector with the rows of fixed tables (dots.wat). */
import { ensureMemory, newDotsKernel } from './kernels.ts'

/** Four float32 make one register, and four rows are taken at a time. */
const LANES = 4
const FLOAT_BYTES = 4

/**
 * @param tables row-major × `dimensions`
 * @returns the products with all rows, tables one after another, in float32
 */
export function createDots(
  dimensions: number,
  tables: readonly Float32Array[],
): (vector: Float32Array) => Float32Array {
  const { memory, dots } = newDotsKernel()
  const count = tables.reduce((sum, { length }) => sum + length / dimensions, 0)
  const padded = roundUp(dimensions)
  const rowsAt = padded
  const outAt = rowsAt + padded * roundUp(count)
  ensureMemory(memory, FLOAT_BYTES * (outAt + roundUp(count)))
  const floats = new Float32Array(memory.buffer)
  let row = rowsAt
  for (const table of tables) {
    for (let from = 0; from < table.length; from += dimensions, row += padded) {
      floats.set(table.subarray(from, from + dimensions), row)
    }
  }
  return vector => {
    floats.set(vector)
    dots(0, FLOAT_BYTES * padded, FLOAT_BYTES * rowsAt, roundUp(count), FLOAT_BYTES * outAt)
    return floats.slice(outAt, outAt + count)
  }
}

function roundUp(count: number): number {
  return Math.ceil(count / LANES) * LANES
}
