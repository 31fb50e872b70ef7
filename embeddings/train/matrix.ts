/** The linear algebra of making a space, on row-major Float32Array matrices: principal components and k-means. */
import type { Random } from './corpus.ts'

export function meanOf(rows: Float32Array, width: number): Float32Array {
  const count = rows.length / width
  const sums = new Float64Array(width)
  for (let i = 0; i < rows.length; i++) sums[i % width] = (sums[i % width] as number) + (rows[i] as number)
  return Float32Array.from(sums, sum => sum / count)
}

export interface PrincipalDirections {
  /** Orthonormal, one a row, strongest first. */
  directions: Float32Array
  /** Of the rows along each direction. */
  variances: Float64Array
}

/**
 * The `wanted` leading principal directions, by orthogonal iteration on the covariance (Golub & Van Loan, Matrix
 * Computations, §8.2.4).
 */
export function principalDirections(
  rows: Float32Array,
  width: number,
  mean: Float32Array,
  wanted: number,
  random: Random,
  iterations = 60,
): PrincipalDirections {
  const covariance = covarianceOf(rows, width, mean)
  let basis = Float64Array.from({ length: wanted * width }, () => random() - 0.5)
  let variances = orthonormalise(basis, width)
  for (let iteration = 0; iteration < iterations; iteration++) {
    const next = new Float64Array(wanted * width)
    for (let k = 0; k < wanted; k++) {
      for (let i = 0; i < width; i++) {
        let sum = 0
        for (let j = 0; j < width; j++) {
          sum += (covariance[i * width + j] as number) * (basis[k * width + j] as number)
        }
        next[k * width + i] = sum
      }
    }
    variances = orthonormalise(next, width)
    basis = next
  }
  return { directions: Float32Array.from(basis), variances }
}

function covarianceOf(rows: Float32Array, width: number, mean: Float32Array): Float64Array {
  const covariance = new Float64Array(width * width)
  const row = new Float64Array(width)
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) row[i] = (rows[start + i] as number) - (mean[i] as number)
    for (let i = 0; i < width; i++) {
      const value = row[i] as number
      const offset = i * width
      for (let j = 0; j <= i; j++) {
        covariance[offset + j] = (covariance[offset + j] as number) + value * (row[j] as number)
      }
    }
  }
  const count = rows.length / width
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      const value = (covariance[i * width + j] as number) / count
      covariance[i * width + j] = value
      covariance[j * width + i] = value
    }
  }
  return covariance
}

/** Modified Gram–Schmidt on the rows; returns how long each was before it was brought to length 1. */
function orthonormalise(basis: Float64Array, width: number): Float64Array {
  const lengths = new Float64Array(basis.length / width)
  for (let k = 0; k < basis.length; k += width) {
    for (let p = 0; p < k; p += width) {
      let overlap = 0
      for (let i = 0; i < width; i++) overlap += (basis[k + i] as number) * (basis[p + i] as number)
      for (let i = 0; i < width; i++) basis[k + i] = (basis[k + i] as number) - overlap * (basis[p + i] as number)
    }
    let square = 0
    for (let i = 0; i < width; i++) square += (basis[k + i] as number) ** 2
    const length = Math.sqrt(square)
    for (let i = 0; i < width; i++) basis[k + i] = (basis[k + i] as number) / length
    lengths[k / width] = length
  }
  return lengths
}

/** Lloyd's k-means from distinct random rows; a centroid that lost all its rows restarts at a random one. */
export function kMeans(rows: Float32Array, width: number, k: number, random: Random, iterations = 15): Float32Array {
  const count = rows.length / width
  const centroids = new Float32Array(k * width)
  const restart = (centroid: number) => {
    const row = Math.floor(random() * count)
    centroids.set(rows.subarray(row * width, (row + 1) * width), centroid * width)
  }
  for (let centroid = 0; centroid < k; centroid++) restart(centroid)

  for (let iteration = 0; iteration < iterations; iteration++) {
    const nearest = assign(rows, width, centroids)
    const sums = new Float64Array(k * width)
    const sizes = new Uint32Array(k)
    for (let row = 0; row < count; row++) {
      const centroid = nearest[row] as number
      sizes[centroid] = (sizes[centroid] as number) + 1
      for (let i = 0; i < width; i++) {
        sums[centroid * width + i] = (sums[centroid * width + i] as number) + (rows[row * width + i] as number)
      }
    }
    for (let centroid = 0; centroid < k; centroid++) {
      const size = sizes[centroid] as number
      if (size === 0) restart(centroid)
      else
        for (let i = 0; i < width; i++) centroids[centroid * width + i] = (sums[centroid * width + i] as number) / size
    }
  }
  return centroids
}

/** The nearest centroid of every row. */
export function assign(rows: Float32Array, width: number, centroids: Float32Array): Uint16Array {
  const halfSquares = new Float64Array(centroids.length / width)
  for (let i = 0; i < centroids.length; i++) {
    const centroid = Math.floor(i / width)
    halfSquares[centroid] = (halfSquares[centroid] as number) + (centroids[i] as number) ** 2 / 2
  }
  return Uint16Array.from({ length: rows.length / width }, (_, row) => {
    let best = 0
    let most = Number.NEGATIVE_INFINITY
    for (let centroid = 0; centroid < halfSquares.length; centroid++) {
      const score = dotRows(rows, row * width, centroids, centroid * width, width) - (halfSquares[centroid] as number)
      if (score > most) {
        most = score
        best = centroid
      }
    }
    return best
  })
}

/** Subtracts from every row, in place, the centroid it was assigned to. */
export function subtractAssigned(
  rows: Float32Array,
  width: number,
  centroids: Float32Array,
  nearest: Uint16Array,
): void {
  nearest.forEach((centroid, row) => {
    for (let i = 0; i < width; i++) {
      const at = row * width + i
      rows[at] = (rows[at] as number) - (centroids[centroid * width + i] as number)
    }
  })
}

function dotRows(a: Float32Array, i: number, b: Float32Array, j: number, width: number): number {
  let p = 0
  let q = 0
  let r = 0
  let s = 0
  for (let at = 0; at < width; at += 4) {
    p += (a[i + at] as number) * (b[j + at] as number)
    q += (a[i + at + 1] as number) * (b[j + at + 1] as number)
    r += (a[i + at + 2] as number) * (b[j + at + 2] as number)
    s += (a[i + at + 3] as number) * (b[j + at + 3] as number)
  }
  return p + q + (r + s)
}
