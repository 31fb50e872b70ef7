/**
 * Vector ⇄ fingerprint: a residual-quantised code (RQ; Chen, Guan & Wang 2010) whose every prefix is the same
 * fingerprint, coarser, so that one code serves routing, granularity and privacy. Pure; costs microseconds.
 *
 * Two hex digits name the nearest of 256 cells; each of 14 further digits names the nearest of 16 centroids to what is
 * left over. All arithmetic is IEEE doubles in a fixed order: peers agree on every code.
 */
import { BRANCHES, CELLS, LEVELS, type Space } from './space.ts'

/** Length of a full code in hex digits; level 1 takes two of them. */
export const CODE_DIGITS = 2 + LEVELS

export interface DecodedCode {
  /** 0..255 */
  readonly cell: number
  /** One of 0..15 a further level, 0 to 14 of them. */
  readonly digits: Uint8Array
  /** Euclidean length of the reconstruction. */
  readonly norm: number
}

/**
 * An embedder's vector as the code sees it: mean subtracted, projected, brought to length 1.
 * A zero vector (nothing to embed) stays zero.
 *
 * @throws {RangeError} when `raw` has not `inputDimensions` components
 */
export function project(space: Space, raw: Float32Array): Float32Array {
  const { inputDimensions, dimensions, mean, products } = space
  if (raw.length !== inputDimensions) {
    throw new RangeError(`a vector of space ${space.name} has ${inputDimensions} components, not ${raw.length}`)
  }
  const projected = new Float32Array(dimensions)
  if (isZero(raw)) return projected
  const sum = products.byInput ? projectSparse(products.byInput, products.projectedMean, raw) : minus(raw, mean)
  let square = 0
  for (let i = 0; i < dimensions; i++) square += (sum[i] as number) * (sum[i] as number)
  const length = Math.sqrt(square)
  if (length > 0) for (let i = 0; i < dimensions; i++) projected[i] = (sum[i] as number) / length
  return projected
}

/** Hashed vectors are mostly zeros, and those cost nothing here. */
function projectSparse(byInput: Float32Array, projectedMean: Float64Array, raw: Float32Array): Float64Array {
  const dimensions = projectedMean.length
  const sum = new Float64Array(dimensions)
  for (let input = 0; input < raw.length; input++) {
    const weight = raw[input] as number
    if (weight === 0) continue
    const offset = input * dimensions
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] as number) + weight * (byInput[offset + i] as number)
  }
  return minus(sum, projectedMean)
}

function minus(a: Float32Array | Float64Array, b: Float32Array | Float64Array): Float64Array {
  const difference = new Float64Array(a.length)
  for (let i = 0; i < a.length; i++) difference[i] = (a[i] as number) - (b[i] as number)
  return difference
}

/**
 * Dot products of a projected query with every centroid: 256 cells, then 14 × 16 residuals. All else that is asked of a
 * query (its code, its nearest cells, its similarity to a code) is additions of these (asymmetric distance computation;
 * Jégou, Douze & Schmid 2011).
 */
export function dotTable(space: Space, projected: Float32Array): Float32Array {
  return space.products.centroids(projected)
}

/**
 * The full code, 16 hex digits, by greedy residual quantisation: at each level the centroid e that is nearest to what is
 * left of the query q after s, the sum of those before; least |e|²/2 − q·e + s·e. The query behind a table of zeros gets
 * a code too, of no meaning: callers do not encode what could not be embedded.
 */
export function encode(space: Space, table: Float32Array): string {
  const { halfRows, cellRows, rowRows } = space.products
  const rows = LEVELS * BRANCHES
  const cell = nearestCells(space, table, 1)[0] as number
  // s·e for every centroid of the levels to come
  const chosen = cellRows.slice(cell * rows, (cell + 1) * rows)
  let code = hexByte(cell)
  for (let level = 0; level < LEVELS; level++) {
    let best = level * BRANCHES
    let least = Number.POSITIVE_INFINITY
    for (let row = level * BRANCHES; row < (level + 1) * BRANCHES; row++) {
      const distance = (halfRows[row] as number) - (table[CELLS + row] as number) + (chosen[row] as number)
      if (distance < least) {
        least = distance
        best = row
      }
    }
    code += (best - level * BRANCHES).toString(16)
    for (let row = (level + 1) * BRANCHES; row < rows; row++) {
      chosen[row] = (chosen[row] as number) + (rowRows[best * rows + row] as number)
    }
  }
  return code
}

/** The `count` cells nearest to a query, nearest first; the first is the one its code begins with. */
export function nearestCells(space: Space, table: Float32Array, count: number): number[] {
  const { halfCells } = space.products
  const cells: number[] = []
  const distances: number[] = []
  for (let cell = 0; cell < CELLS; cell++) {
    const distance = (halfCells[cell] as number) - (table[cell] as number)
    if (cells.length === count && !(distance < (distances[count - 1] as number))) continue
    let at = Math.min(cells.length, count - 1)
    for (; at > 0 && distance < (distances[at - 1] as number); at--) {
      cells[at] = cells[at - 1] as number
      distances[at] = distances[at - 1] as number
    }
    cells[at] = cell
    distances[at] = distance
  }
  return cells
}

/**
 * A code or a prefix of one, made ready for `similarity`. Decode a packet once, compare it often.
 *
 * @throws {RangeError} unless `code` is 2 to 16 lower-case hex digits
 */
export function decode(space: Space, code: string): DecodedCode {
  if (!/^[0-9a-f]{2,16}$/.test(code)) throw new RangeError('a code is 2 to 16 lower-case hex digits')
  const { dimensions, cells, levels } = space
  const cell = Number.parseInt(code.slice(0, 2), 16)
  const digits = Uint8Array.from(code.slice(2), digit => Number.parseInt(digit, 16))
  const sum = new Float64Array(cells.subarray(cell * dimensions, (cell + 1) * dimensions))
  digits.forEach((digit, level) => {
    const offset = (level * BRANCHES + digit) * dimensions
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] as number) + (levels[offset + i] as number)
  })
  let square = 0
  for (const component of sum) square += component * component
  return { cell, digits, norm: Math.sqrt(square) }
}

/** Cosine, -1..1, of the exact query behind `table` and the reconstruction of a code; 0 when either is zero. */
export function similarity(table: Float32Array, decoded: DecodedCode): number {
  if (decoded.norm === 0) return 0
  const { digits } = decoded
  let sum = table[decoded.cell] as number
  for (let level = 0; level < digits.length; level++) {
    sum += table[CELLS + level * BRANCHES + (digits[level] as number)] as number
  }
  return Math.max(-1, Math.min(1, sum / decoded.norm))
}

/** How many distinct reference texts share the first `digits` hex digits of `code`, which may not be shorter. */
export function referenceTexts(space: Space, code: string, digits: 2 | 3 | 4): number {
  const prefix = code.slice(0, digits)
  if (prefix.length < digits || !/^[0-9a-f]+$/.test(prefix)) throw new RangeError(`not a code of ${digits} digits`)
  return space.counts[(digits - 2) as 0 | 1 | 2][Number.parseInt(prefix, 16)] as number
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0')
}

function isZero(vector: Float32Array): boolean {
  for (let i = 0; i < vector.length; i++) if (vector[i] !== 0) return false
  return true
}
