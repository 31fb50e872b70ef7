/** The metrics that docs/metrics.md lists, and those that a PromQL expression reads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const DOCUMENT = join(import.meta.dirname, '../../docs/metrics.md')

/** Our own; prom-client's begin with `process_` and `nodejs_`. */
export function documentedMetrics(): Map<string, string> {
  const rows = readFileSync(DOCUMENT, 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \|/gm)
  return new Map([...rows].map(([, name = '', type = '']) => [name, type]))
}

/** Names of time series, as they stand; Prometheus' own `up` is not looked for. */
export function seriesIn(expression: string): string[] {
  const withoutLabels = expression.replace(/\bby \([^)]*\)/g, '')
  return [...withoutLabels.matchAll(/\b(?:qis|gen_ai|nodejs|process)_\w+/g)].map(([name]) => name)
}

/** A histogram is three series. */
export function isDocumented(series: string, documented: ReadonlyMap<string, string>): boolean {
  const whole = documented.get(series)
  if (whole !== undefined) return whole !== 'histogram'
  return documented.get(series.replace(/_(?:bucket|sum|count)$/, '')) === 'histogram'
}
