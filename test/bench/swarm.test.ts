/** The bench of the swarm on four real nodes: its figures are there, and true where the truth is known. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { runSimulation } from '../../bench/simulate/run.ts'
import { delivered } from '../../bench/swarm/deliveries.ts'
import { fitLine, quantile } from '../../bench/swarm/fit.ts'
import { CLINC, SHARED } from '../../bench/swarm/questions.ts'
import { type Journal, type Member, wanted } from '../../bench/swarm/swarm.ts'
import { answersIn, createWire } from '../../bench/swarm/wire.ts'
import { fillBlocks } from '../../bench/swarm/write-docs.ts'
import type { RoutingKey } from '../../router/keyspace.ts'
import { missing } from '../embeddings/shared-data.ts'

const BENCH = join(import.meta.dirname, '../../bench/swarm.ts')

describe('the bench of the swarm', () => {
  test('on four nodes, delivers everything to those who want it and nothing to others, and says so', {
    skip: missing(join(SHARED, CLINC)),
    timeout: 240_000,
  }, async () => {
    const args = [BENCH, '--quick', '--only', 'sizes', '--n', '4', '--json']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const told = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
    assert.deepEqual(Object.keys(told), [
      'n',
      'lookup_rpcs_p50',
      'log_fit_r2',
      'delivery_ratio',
      'delay_ms_p50',
      'delay_ms_p99',
      'uninterested_share',
      'node_share_single',
      'node_share_mixed',
      'churn_delivery_ratio',
      'node_rss_mb',
      'node_idle_cpu_pct',
      'sim_100k',
    ])
    assert.deepEqual(told.n, [4])
    assert.equal(told.delivery_ratio, 1)
    assert.equal(told.uninterested_share, 0)
    assert.ok(told.delay_ms_p50 > 0 && told.delay_ms_p99 >= told.delay_ms_p50, JSON.stringify(told))
    // what was not measured is said to be unknown
    assert.equal(told.sim_100k, null)
    assert.equal(told.node_rss_mb, null)

    // Four nodes know each other: each of the other three is asked, in life as in the simulation.
    const { rpcs } = await runSimulation(4, { seed: 1, lookups: 20 })
    assert.deepEqual(told.lookup_rpcs_p50, [rpcs.p50])
  })

  test('fits a line by least squares, and takes quantiles by nearest rank', () => {
    assert.deepEqual(
      fitLine([
        [1, 3],
        [2, 5],
        [4, 9],
      ]),
      { a: 1, b: 2, r2: 1 },
    )
    const { r2 } = fitLine([
      [0, 0],
      [1, 1],
      [2, 0],
    ])
    assert.equal(r2, 0)
    assert.equal(quantile([4, 1, 3, 2], 0.5), 2)
    assert.equal(quantile([4, 1, 3, 2], 0.99), 4)
    assert.ok(Number.isNaN(quantile([], 0.5)))
  })

  test('counts bytes and copies of packets as they pass, both ways', () => {
    const wire = createWire()
    const packet = Buffer.from('\0\x01{"v":1,"n":"00112233aabbccdd","rv":0}')
    wire.capture('in', packet)
    wire.capture('in', Buffer.concat([packet, packet]))
    wire.capture('out', packet)
    assert.deepEqual([wire.bytesIn, wire.bytesOut], [3 * packet.length, packet.length])
    assert.deepEqual([...wire.copies], [['00112233aabbccdd', 3]])
    assert.deepEqual(answersIn(Buffer.from('"n":"short"')), [])
  })

  test('knows who wanted a packet, and for how long', () => {
    const key = 'k' as RoutingKey
    const journal: Journal = {
      joins: [{ key, at: 10 }],
      leaves: [{ key, at: 20 }],
      visits: [],
      sent: [],
      arrivals: [],
      changes: [],
      copies: [],
    }
    assert.deepEqual(
      [wanted(journal, key, 9), wanted(journal, key, 15), wanted(journal, key, 21)],
      [false, true, false],
    )
    assert.equal(wanted(journal, key, 15, 6), false)
    assert.equal(wanted(journal, 'other' as RoutingKey, 15), false)
  })

  test('counts a packet as delivered only when it came, however long one waits', () => {
    const [author, member] = [{}, {}] as Member[]
    const arrivals = [{ answer: 'a', key: 'k' as RoutingKey, at: 30 }]
    const journal = { joins: [], leaves: [], visits: [], sent: [], arrivals, changes: [], copies: [] }
    const packet = { text: '', key: 'k' as RoutingKey, at: 10, author: author as Member }
    const sent = [
      { ...packet, answer: 'a' },
      { ...packet, answer: 'b' },
    ]
    const journals = new Map([[member as Member, journal]])
    const within = (ms: number) => delivered(sent, journals, () => true, ms)
    assert.deepEqual(within(Number.POSITIVE_INFINITY), { expected: 2, arrived: 1, arrivalMs: [20] })
    assert.deepEqual(within(19), { expected: 2, arrived: 0, arrivalMs: [] })
  })

  test('fills the marked places of a document and refuses one that lacks them', () => {
    const text = 'before\n<!-- a -->\nold\n<!-- /a -->\nafter'
    assert.equal(fillBlocks(text, { a: 'new' }), 'before\n<!-- a -->\n\nnew\n\n<!-- /a -->\nafter')
    assert.throws(() => fillBlocks(text, { b: 'new' }), /no place for b/)
  })
})
