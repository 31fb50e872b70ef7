/** The few statistics that both the measured and the simulated swarm are told in. */

/** The value that a share `q` (0..1) of the values does not exceed, by nearest rank; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

export interface Fit {
  a: number
  b: number
  /** Share of the variance of y that the line explains; NaN where y does not vary. */
  r2: number
}

/** The least-squares line y = a + b·x; NaN with fewer than two different x. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Fit {
  const mx = mean(points.map(([x]) => x))
  const my = mean(points.map(([, y]) => y))
  let [sxx, sxy, syy] = [0, 0, 0]
  for (const [x, y] of points) {
    sxx += (x - mx) ** 2
    sxy += (x - mx) * (y - my)
    syy += (y - my) ** 2
  }
  const b = sxy / sxx
  return { a: my - b * mx, b, r2: sxy ** 2 / (sxx * syy) }
}

/** For tables and JSON: `digits` decimals, and null where there is nothing to tell. */
export function rounded(value: number, digits = 0): number | null {
  return Number.isFinite(value) ? Number(value.toFixed(digits)) : null
}
