import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { factorise, solve } from '../../router/synthesis/gaussian.ts'

describe('the Gaussian process', () => {
  it('agrees with the closed form for one and for two observations', () => {
    const one = Float64Array.of(2)
    factorise(one, 1)
    assert.deepEqual(Array.from(solve(one, 1, Float64Array.of(0.8), 1, 1).weights, round), [0.4])
    // K + D = [[2, 0.5], [0.5, 2]], k = [0.8, 0.4]; its inverse times k by hand.
    const two = Float64Array.of(2, 0.5, 0.5, 2)
    factorise(two, 2)
    const { weights, explained } = solve(two, 2, Float64Array.of(0.8, 0.4), 2, 1)
    assert.deepEqual(Array.from(weights, round), [round(1.4 / 3.75), round(0.4 / 3.75)])
    assert.equal(round(explained), round((0.8 * 1.4 + 0.4 * 0.4) / 3.75))
  })

  it('factorises a matrix into what multiplies back to it, however many rows there are', () => {
    for (let n = 1; n <= 13; n++) {
      const matrix = Float64Array.from({ length: n * n }, (_, at) => {
        const [row, column] = [Math.floor(at / n), at % n]
        return 1 / (1 + Math.abs(row - column)) + (row === column ? 1 / (1 + row) : 0)
      })
      const factor = matrix.slice()
      factorise(factor, n)
      for (let row = 0; row < n; row++) {
        for (let column = 0; column <= row; column++) {
          let sum = 0
          for (let i = 0; i <= column; i++) sum += (factor[row * n + i] as number) * (factor[column * n + i] as number)
          assert.equal(round(sum), round(matrix[row * n + column] as number), `${row}, ${column} of ${n}`)
        }
      }
    }
  })

  it('solves for the leading observations as if the rest were not there, and gives no negative weight', () => {
    const point = fc.double({ min: 0, max: 3, noNaN: true })
    fc.assert(
      fc.property(fc.array(point, { minLength: 2, maxLength: 12 }), fc.nat(), (points, cut) => {
        const matrixOf = (of: number[]) =>
          Float64Array.from(of.flatMap((a, i) => of.map((b, j) => Math.exp(-((a - b) ** 2)) + (i === j ? 0.5 : 0))))
        const count = 1 + (cut % (points.length - 1))
        const covariances = Float64Array.from(points, a => Math.exp(-(a ** 2)))
        const whole = matrixOf(points)
        factorise(whole, points.length)
        const leading = matrixOf(points.slice(0, count))
        factorise(leading, count)
        const a = solve(whole, points.length, covariances, count, 1)
        const b = solve(leading, count, covariances, count, 1)
        assert.deepEqual(Array.from(a.weights, round), Array.from(b.weights, round))
        assert.ok(a.weights.every(weight => weight >= 0))
        assert.ok(a.explained >= 0 && a.explained <= 1)
      }),
    )
  })
})

function round(value: number): number {
  return Math.round(value * 1e9) / 1e9
}
