/** Gaussian-process regression on a few dozen observations: what each weighs, and what stays unknown. Pure. */

export interface Solution {
  /** What each observation's deviation from its base rate weighs in the prediction, none less than 0. */
  weights: Float64Array
  /** Share of the prior variance that the observations take away, 0..1. */
  explained: number
}

/** Beside the diagonal, so that rounding can make no root of a negative number. */
const JITTER = 1e-9

/**
 * Lower Cholesky factor of a symmetric matrix, row-major `n` × `n`, in place; what is above the diagonal is left as it
 * was. Its leading rows are the factor of the leading observations alone. Four rows at a time share what they read of a
 * column, and none waits for another's additions.
 */
export function factorise(matrix: Float64Array, n: number): void {
  for (let column = 0; column < n; column++) {
    const at = column * n
    const square = (matrix[at + column] as number) - product(matrix, at, at, column)
    const diagonal = Math.sqrt(Math.max(square, JITTER))
    matrix[at + column] = diagonal
    let row = column + 1
    for (; row + 3 < n; row += 4) {
      const a = row * n
      const b = a + n
      const c = b + n
      const d = c + n
      let p = matrix[a + column] as number
      let q = matrix[b + column] as number
      let r = matrix[c + column] as number
      let s = matrix[d + column] as number
      for (let i = 0; i < column; i++) {
        const common = matrix[at + i] as number
        p -= common * (matrix[a + i] as number)
        q -= common * (matrix[b + i] as number)
        r -= common * (matrix[c + i] as number)
        s -= common * (matrix[d + i] as number)
      }
      matrix[a + column] = p / diagonal
      matrix[b + column] = q / diagonal
      matrix[c + column] = r / diagonal
      matrix[d + column] = s / diagonal
    }
    for (; row < n; row++) {
      const a = row * n
      matrix[a + column] = ((matrix[a + column] as number) - product(matrix, a, at, column)) / diagonal
    }
  }
}

/** Four sums side by side: one alone would wait for each addition. */
function product(values: Float64Array, a: number, b: number, length: number): number {
  let p = 0
  let q = 0
  let r = 0
  let s = 0
  let i = 0
  for (; i + 3 < length; i += 4) {
    p += (values[a + i] as number) * (values[b + i] as number)
    q += (values[a + i + 1] as number) * (values[b + i + 1] as number)
    r += (values[a + i + 2] as number) * (values[b + i + 2] as number)
    s += (values[a + i + 3] as number) * (values[b + i + 3] as number)
  }
  for (; i < length; i++) p += (values[a + i] as number) * (values[b + i] as number)
  return p + q + (r + s)
}

/**
 * `(K + D)⁻¹ k` (Rasmussen & Williams 2006, eq. 2.25) for the leading `count` observations. Negative weights, which
 * correct for neighbours that stand before others, are set to 0: a good outcome never speaks against its model.
 *
 * @param factor of all `n` observations, from `factorise`
 * @param covariances k, of each with the question
 * @param variance of what is asked for, before anything is seen
 */
export function solve(
  factor: Float64Array,
  n: number,
  covariances: Float64Array,
  count: number,
  variance: number,
): Solution {
  const weights = covariances.slice(0, count)
  for (let row = 0; row < count; row++) {
    let sum = weights[row] as number
    for (let i = 0; i < row; i++) sum -= (factor[row * n + i] as number) * (weights[i] as number)
    weights[row] = sum / (factor[row * n + row] as number)
  }
  let explained = 0
  for (const value of weights) explained += value * value
  for (let row = count - 1; row >= 0; row--) {
    const value = (weights[row] as number) / (factor[row * n + row] as number)
    weights[row] = value
    for (let i = 0; i < row; i++) weights[i] = (weights[i] as number) - (factor[row * n + i] as number) * value
  }
  for (let i = 0; i < count; i++) if ((weights[i] as number) < 0) weights[i] = 0
  return { weights, explained: Math.min(1, explained / variance) }
}
