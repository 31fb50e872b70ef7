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
  const { inputDimensions, dimensions, mean, projection } = space
  if (raw.length !== inputDimensions) {
    throw new RangeError(`a vector of space ${space.name} has ${inputDimensions} components, not ${raw.length}`)
  }
  const projected = new Float32Array(dimensions)
  if (raw.every(isZero)) return projected
  const centred = new Float32Array(inputDimensions)
  for (let i = 0; i < inputDimensions; i++) centred[i] = (raw[i] as number) - (mean[i] as number)
  if (projection === undefined) projected.set(centred)
  else for (let row = 0; row < dimensions; row++) projected[row] = dot(projection, row * inputDimensions, centred)

  const length = Math.sqrt(dot(projected, 0, projected))
  if (length > 0) for (let i = 0; i < dimensions; i++) projected[i] = (projected[i] as number) / length
  return projected
}

/**
 * The full code, 16 hex digits, by greedy residual quantisation. A zero vector gets a code too, of no meaning: callers
 * do not encode what could not be embedded.
 */
export function encode(space: Space, projected: Float32Array): string {
  const residual = projected.slice()
  const cell = nearest(space.cells, 0, CELLS, residual)
  subtractRow(residual, space.cells, cell)
  let code = hexByte(cell)
  for (let level = 0; level < LEVELS; level++) {
    const digit = nearest(space.levels, level * BRANCHES, BRANCHES, residual)
    subtractRow(residual, space.levels, level * BRANCHES + digit)
    code += digit.toString(16)
  }
  return code
}

/** The `count` cells nearest to a query, nearest first; the first is the one its code begins with. */
export function nearestCells(space: Space, projected: Float32Array, count: number): number[] {
  const cells: number[] = []
  const distances: number[] = []
  for (let cell = 0; cell < CELLS; cell++) {
    const distance = squaredDistance(space.cells, cell * space.dimensions, projected)
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
 * Dot products of a query with every centroid: 256 cells, then 14 × 16 residuals. With it, the similarity to a code
 * is at most 15 additions (asymmetric distance computation; Jégou, Douze & Schmid 2011).
 */
export function dotTable(space: Space, projected: Float32Array): Float32Array {
  const table = new Float32Array(CELLS + LEVELS * BRANCHES)
  for (let cell = 0; cell < CELLS; cell++) table[cell] = dot(space.cells, cell * space.dimensions, projected)
  for (let row = 0; row < LEVELS * BRANCHES; row++) {
    table[CELLS + row] = dot(space.levels, row * space.dimensions, projected)
  }
  return table
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

/** Of the rows `first` to `first + count`, the one nearest to `vector`; the lowest of equals. Counted from `first`. */
function nearest(rows: Float32Array, first: number, count: number, vector: Float32Array): number {
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (let row = 0; row < count; row++) {
    const distance = squaredDistance(rows, (first + row) * vector.length, vector)
    if (distance < least) {
      least = distance
      best = row
    }
  }
  return best
}

function subtractRow(vector: Float32Array, rows: Float32Array, row: number): void {
  const offset = row * vector.length
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) - (rows[offset + i] as number)
}

function squaredDistance(rows: Float32Array, offset: number, vector: Float32Array): number {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let i = 0
  const length = vector.length
  for (; i + 3 < length; i += 4) {
    const w = (rows[offset + i] as number) - (vector[i] as number)
    const x = (rows[offset + i + 1] as number) - (vector[i + 1] as number)
    const y = (rows[offset + i + 2] as number) - (vector[i + 2] as number)
    const z = (rows[offset + i + 3] as number) - (vector[i + 3] as number)
    a += w * w
    b += x * x
    c += y * y
    d += z * z
  }
  for (; i < length; i++) {
    const rest = (rows[offset + i] as number) - (vector[i] as number)
    a += rest * rest
  }
  return a + b + (c + d)
}

/** Four sums side by side: one alone would wait for each addition. */
function dot(rows: Float32Array, offset: number, vector: Float32Array): number {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let i = 0
  const length = vector.length
  for (; i + 3 < length; i += 4) {
    a += (rows[offset + i] as number) * (vector[i] as number)
    b += (rows[offset + i + 1] as number) * (vector[i + 1] as number)
    c += (rows[offset + i + 2] as number) * (vector[i + 2] as number)
    d += (rows[offset + i + 3] as number) * (vector[i + 3] as number)
  }
  for (; i < length; i++) a += (rows[offset + i] as number) * (vector[i] as number)
  return a + b + (c + d)
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0')
}

function isZero(component: number): boolean {
  return component === 0
}
