import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { columns, createHistory } from '../../proxy/dashboard/history.ts'
import { createMetrics } from '../../proxy/metrics.ts'
import { until } from '../support/poll.ts'

const quick = { everyMs: 10, maxPoints: 4 }

function watched(options = quick) {
  const metrics = createMetrics()
  const clock = { ms: 1_000_000_000 }
  const history = createHistory({ registry: metrics.registry, clock: () => clock.ms }, options)
  return { metrics, clock, history, [Symbol.asyncDispose]: () => history[Symbol.asyncDispose]() }
}

const named = (row: readonly (number | null)[]) => Object.fromEntries(columns.map((name, at) => [name, row[at]]))

suite('the history that the dashboard shows', () => {
  test('tells what was added in an interval, and in each only once', async () => {
    await using site = watched({ everyMs: 60_000, maxPoints: 4 })
    const { metrics, clock, history } = site
    for (const status of [200, 200, 503]) metrics.responded('query', status, 0.1)
    metrics.responded('other', 200, 0.1)
    metrics.adviceTaken('advised', 'low', 0.002)
    metrics.adviceTaken('no_evidence', 'none', 0.004)
    metrics.packetReceived('accepted', 300)
    metrics.packetReceived('known', 300)
    metrics.packetReceived('bad_signature', 300)
    metrics.packetSent(2, 300)
    metrics.packetSent(0, 300)
    metrics.outcomeWithheld('rare')
    metrics.feedbackTaken('up', 'accepted', 'user')
    metrics.benefitMeasured({ domain: 'a', nats: 0.2, outcomes: 3 })
    metrics.benefitMeasured({ domain: 'b', nats: 0.1, outcomes: 3 })
    metrics.watchSwarm(() => ({ up: true, peers: 3, cells: 5, evidence: 70 }))
    clock.ms += 4_000
    const { current, counts, rows } = await history.read(0)
    const { time, overhead_p99_ms, ...told } = named(current)
    assert.equal(time, 1_000_004)
    assert.deepEqual(told, {
      seconds: 4,
      questions: 3,
      others: 1,
      failed: 1,
      advised: 1,
      overhead_mean_ms: 3,
      feedback: 1,
      packets_in: 1,
      packets_refused: 1,
      packets_out: 1,
      peers: 3,
      kinds: 5,
      evidence: 70,
      benefit: 0.15,
    })
    // Both fell between the bounds 1 ms and 10 ms of the histogram.
    assert.ok(Number(overhead_p99_ms) > 3 && Number(overhead_p99_ms) <= 10, String(overhead_p99_ms))
    assert.deepEqual(counts.received, { accepted: 1, known: 1, bad_signature: 1 })
    assert.deepEqual(counts.withheld, { rare: 1 })
    assert.deepEqual(rows, [])
  })

  test('keeps a point for each interval, no more than it may, and gives those that are new', async () => {
    await using site = watched()
    const { metrics, clock, history } = site
    metrics.responded('query', 200, 0.1)
    let seen: (number | null)[][] = []
    await until('as many points as there may be', async () => {
      clock.ms += 1_000
      seen = (await history.read(0)).rows
      return seen.length === quick.maxPoints
    })
    const before = seen.at(-1)?.[0] ?? 0
    await until('another', async () => {
      clock.ms += 1_000
      seen = (await history.read(0)).rows
      return Number(seen.at(-1)?.[0]) > before
    })
    assert.equal(seen.length, quick.maxPoints)
    const times = seen.map(([time]) => Number(time))
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((await history.read(times.at(-2) ?? 0)).rows.every(([time]) => Number(time) > (times.at(-2) ?? 0)))
    // What was counted in one interval is not in the next; nothing was asked, and nothing is made up.
    assert.ok(seen.slice(1).every(row => named(row).questions === 0 && named(row).overhead_mean_ms === null))
  })
})
