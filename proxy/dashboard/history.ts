/** What this node has done of late, a point every few seconds: so that a page that is opened now has a past to show. */
import type { Registry } from 'prom-client'

/** Of an interval, unless it is a state at its end. */
export const columns = [
  /** Unix seconds, its end. */
  'time',
  'seconds',
  'questions',
  'others',
  /** Answered with 5xx. */
  'failed',
  'advised',
  'overhead_mean_ms',
  /** As exactly as the buckets of the histogram tell. */
  'overhead_p99_ms',
  'feedback',
  'packets_in',
  'packets_refused',
  'packets_out',
  /** States. */
  'peers',
  'kinds',
  'evidence',
  /** Mean over the domains, nats an outcome. */
  'benefit',
] as const
export type Row = (number | null)[]

/** Since the process started, by label. */
export interface Counts {
  advice: Record<string, number>
  received: Record<string, number>
  sent: Record<string, number>
  withheld: Record<string, number>
  deferred: number
}

export interface History extends AsyncDisposable {
  /**
   * Points that ended after `since`, Unix seconds, oldest first; and the one that has just begun, whose figures may be of
   * less than a second.
   */
  read(since: number): Promise<{ rows: Row[]; current: Row; counts: Counts }>
}

export interface HistoryOptions {
  /** @default 10000 */
  everyMs?: number
  /** Six hours of them. @default 2160 */
  maxPoints?: number
}

interface Totals extends Counts {
  questions: number
  others: number
  failed: number
  feedback: number
  overhead: { sum: number; count: number; buckets: Map<number, number> }
}

/** Packets that come by several ways are no fault. */
const NO_FAULT = new Set(['accepted', 'known'])

export function createHistory(
  { registry, clock = Date.now }: { registry: Registry; clock?: () => number },
  { everyMs = 10_000, maxPoints = 2_160 }: HistoryOptions = {},
): History {
  const rows: Row[] = []
  let last = { at: clock() / 1000, totals: undefined as Totals | undefined }
  let ticking: Promise<void> = Promise.resolve()

  const timer = setInterval(() => {
    ticking = ticking.then(tick)
  }, everyMs).unref()

  async function tick(): Promise<void> {
    const { row, totals, at } = await measure()
    rows.push(row)
    if (rows.length > maxPoints) rows.shift()
    last = { at, totals }
  }

  async function measure() {
    const { at: began, totals: before } = last
    const [totals, states] = await Promise.all([readTotals(registry), readStates(registry)])
    const at = clock() / 1000
    const counted = (read: (totals: Totals) => number) => read(totals) - (before ? read(before) : 0)
    const row = [
      Math.round(at),
      Math.max(0, at - began),
      counted(({ questions }) => questions),
      counted(({ others }) => others),
      counted(({ failed }) => failed),
      counted(({ advice }) => advice.advised ?? 0),
      ...overheadOf(before?.overhead, totals.overhead),
      counted(({ feedback }) => feedback),
      counted(({ received }) => received.accepted ?? 0),
      counted(({ received }) => sumOf(received, reason => !NO_FAULT.has(reason))),
      counted(({ sent }) => sent.taken ?? 0),
      ...states,
    ]
    return { row: row.map(value => (value === null ? null : round(value))), totals, at }
  }

  return {
    async read(since) {
      await ticking
      const { row: current, totals } = await measure()
      const { advice, received, sent, withheld, deferred } = totals
      return {
        rows: rows.filter(([time]) => Number(time) > since),
        current,
        counts: { advice, received, sent, withheld, deferred },
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await ticking
    },
  }
}

interface Value {
  value: number
  labels: Partial<Record<string, string | number>>
  metricName?: string
}

async function valuesOf(registry: Registry, name: string): Promise<Value[]> {
  const metric = registry.getSingleMetric(name)
  return metric ? ((await metric.get()).values as Value[]) : []
}

async function readTotals(registry: Registry): Promise<Totals> {
  const by = async (label: string, name: string) => {
    const sums: Record<string, number> = {}
    for (const { labels, value } of await valuesOf(registry, name)) {
      const key = String(labels[label] ?? '')
      sums[key] = (sums[key] ?? 0) + value
    }
    return sums
  }
  const [requests, statuses, advice, received, sent, withheld, deferred, feedback, overhead] = await Promise.all([
    by('kind', 'qis_requests_total'),
    by('status', 'qis_requests_total'),
    by('result', 'qis_advice_total'),
    by('result', 'qis_packets_received_total'),
    by('result', 'qis_packets_sent_total'),
    by('reason', 'qis_outcomes_withheld_total'),
    by('', 'qis_packets_deferred_total'),
    by('', 'qis_feedback_total'),
    valuesOf(registry, 'qis_proxy_overhead_seconds'),
  ])
  const part = (end: string) => overhead.find(({ metricName }) => metricName?.endsWith(end))?.value ?? 0
  const buckets = overhead
    .filter(({ labels }) => labels.le !== undefined)
    .map(({ labels, value }) => [labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le), value] as const)
  return {
    questions: requests.query ?? 0,
    others: requests.other ?? 0,
    failed: statuses['5xx'] ?? 0,
    feedback: sumOf(feedback),
    advice,
    received,
    sent,
    withheld,
    deferred: sumOf(deferred),
    overhead: { sum: part('_sum'), count: part('_count'), buckets: new Map(buckets) },
  }
}

async function readStates(registry: Registry): Promise<Row> {
  const mean = async (name: string) => {
    const values = (await valuesOf(registry, name)).map(({ value }) => value)
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
  }
  return Promise.all(['qis_peers', 'qis_cells', 'qis_evidence', 'qis_swarm_benefit'].map(mean))
}

function sumOf(counts: Record<string, number>, counting: (name: string) => boolean = () => true): number {
  return Object.entries(counts).reduce((sum, [name, count]) => sum + (counting(name) ? count : 0), 0)
}

/** Mean and 99th percentile of what was added, ms; of nothing, null. */
function overheadOf(before: Totals['overhead'] | undefined, { sum, count, buckets }: Totals['overhead']): Row {
  const added = count - (before?.count ?? 0)
  if (added <= 0) return [null, null]
  const mean = (1000 * (sum - (before?.sum ?? 0))) / added
  const wanted = 0.99 * added
  let [low, below] = [0, 0]
  for (const [high, cumulated] of buckets) {
    const upTo = cumulated - (before?.buckets.get(high) ?? 0)
    // As Prometheus has it: evenly spread within a bucket, and at the last bound beyond it.
    if (upTo >= wanted) {
      const p99 = high === Number.POSITIVE_INFINITY ? low : low + ((high - low) * (wanted - below)) / (upTo - below)
      return [mean, 1000 * p99]
    }
    low = high
    below = upTo
  }
  return [mean, null]
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
