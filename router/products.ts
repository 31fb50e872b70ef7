/** Inner products of a space's centroids with each other: with them a vector is encoded by additions alone. */

import { createDots } from './kernels/dots.ts'

export interface Products {
  /** Dot products of a projected vector with every centroid, cells before residuals. */
  readonly centroids: (vector: Float32Array) => Float32Array
  /** |c|² / 2 of each cell. */
  readonly halfCells: Float64Array
  /** |e|² / 2 of each residual centroid, levels one after another. */
  readonly halfRows: Float64Array
  /** c · e, row-major cells × residual centroids. */
  readonly cellRows: Float64Array
  /** e · e′, row-major residual centroids × residual centroids. */
  readonly rowRows: Float64Array
  /** Projection of the mean, which is taken off after projecting; zeros without a projection. */
  readonly projectedMean: Float64Array
  /** The projection with a row for each input component, so that absent ones can be skipped. */
  readonly byInput: Float32Array | undefined
}

export interface Tables {
  dimensions: number
  inputDimensions: number
  mean: Float32Array
  /** Row-major `dimensions` × `inputDimensions`. */
  projection: Float32Array | undefined
  cells: Float32Array
  levels: Float32Array
}

export function productsOf({ dimensions, inputDimensions, mean, projection, cells, levels }: Tables): Products {
  const gram = (a: Float32Array, b: Float32Array) => {
    const [rows, columns] = [a.length / dimensions, b.length / dimensions]
    const products = new Float64Array(rows * columns)
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        products[row * columns + column] = dot(a, row * dimensions, b, column * dimensions, dimensions)
      }
    }
    return products
  }
  const halves = (rows: Float32Array) =>
    Float64Array.from({ length: rows.length / dimensions }, (_, row) => {
      const offset = row * dimensions
      return dot(rows, offset, rows, offset, dimensions) / 2
    })
  return {
    centroids: createDots(dimensions, [cells, levels]),
    halfCells: halves(cells),
    halfRows: halves(levels),
    cellRows: gram(cells, levels),
    rowRows: gram(levels, levels),
    projectedMean: Float64Array.from({ length: dimensions }, (_, row) =>
      projection ? dot(projection, row * inputDimensions, mean, 0, inputDimensions) : 0,
    ),
    byInput: projection && transposed(projection, dimensions, inputDimensions),
  }
}

/** Four sums side by side: one alone would wait for each addition. The order is fixed, so that peers agree. */
export function dot(a: Float32Array, aOffset: number, b: Float32Array, bOffset: number, length: number): number {
  let p = 0
  let q = 0
  let r = 0
  let s = 0
  let i = 0
  for (; i + 3 < length; i += 4) {
    p += (a[aOffset + i] as number) * (b[bOffset + i] as number)
    q += (a[aOffset + i + 1] as number) * (b[bOffset + i + 1] as number)
    r += (a[aOffset + i + 2] as number) * (b[bOffset + i + 2] as number)
    s += (a[aOffset + i + 3] as number) * (b[bOffset + i + 3] as number)
  }
  for (; i < length; i++) p += (a[aOffset + i] as number) * (b[bOffset + i] as number)
  return p + q + (r + s)
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = matrix[row * columns + column] as number
    }
  }
  return result
}
