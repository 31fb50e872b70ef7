import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Connection, PeerId } from '@libp2p/interface'
import { routingKey } from '../../../router/keyspace.ts'
import { createBackfill } from '../../../router/network/backfill.ts'
import { createBackground } from '../../../router/network/background.ts'
import { utf8 } from '../../contracts/network.ts'
import { until } from '../../support/poll.ts'
import { quiet } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const PAGE = 4
const peer = (name: string) =>
  ({ toString: () => name, equals: (other: PeerId) => other.toString() === name }) as PeerId

/** The only holder, whose pages break off where `breaks` says, once each. */
function holding(held: Buffer[], breaks: number[], { refillMs = 60_000, subscribers = ['holder'] } = {}) {
  const asked: number[] = []
  const known = new Set<string>()
  const judged: string[] = []
  const called: string[] = []
  const backfill = createBackfill(
    {
      exchange: {
        serve: async () => {},
        async *pages(_connection, _key, _signal, from = 0) {
          for (let offset = from; offset < held.length; offset += PAGE) {
            asked.push(offset)
            if (offset === breaks[0]) {
              breaks.shift()
              throw new Error('broken off')
            }
            yield held.slice(offset, offset + PAGE)
          }
        },
      },
      background: createBackground({ logger: quiet }, { concurrency: 1, maxWaiting: 8, deadlineMs: 5_000 }),
      async judge(_peer, _key, bytes) {
        const text = Buffer.from(bytes).toString()
        judged.push(text)
        if (known.has(text)) return 'ignore'
        known.add(text)
        return 'accept'
      },
      subscribers: () => subscribers.map(peer),
      async *find() {},
      async connect(one) {
        called.push(one.toString())
        return {} as Connection
      },
      shunned: () => false,
      now: () => performance.now(),
      logger: quiet,
    },
    { holders: 2, backfillDeadlineMs: 5_000, refillMs },
  )
  return { backfill, asked, known, judged, called }
}

const packets = (count: number) => Array.from({ length: count }, (_, index) => utf8(`packet ${index}`))

suite('a backfill that was broken off', () => {
  test('goes on where it was, once it has what came on top', async () => {
    const held = packets(14)
    const { backfill, asked, known } = holding(held, [8])
    await backfill.fill(key)
    assert.deepEqual([asked.splice(0), known.size], [[0, 4, 8], 8])
    held.unshift(utf8('new 1'), utf8('new 2'))
    await backfill.fill(key)
    assert.deepEqual(asked.splice(0), [0, 4, 8, 12], 'two pages until nothing is new, then those that were missing')
    assert.equal(known.size, 16)
    await backfill.fill(key)
    assert.deepEqual(asked, [0, 4, 8, 12], 'whole now: the next one begins anew')
  })
})

suite('a peer that was asked', () => {
  test('is not asked again at once, unless it was away', async () => {
    const { backfill, asked } = holding(packets(2), [])
    backfill.refill(key, peer('holder'))
    await until('the first', () => asked.length === 1)
    backfill.lose(peer('another'))
    backfill.refill(key, peer('holder'))
    backfill.lose(peer('holder'))
    backfill.refill(key, peer('holder'))
    await until('the second', () => asked.length === 2)
  })

  test('and did not answer is asked again after a while, a few times', async () => {
    const { backfill, known } = holding(packets(2), [0, 0], { refillMs: 300 })
    backfill.refill(key, peer('holder'))
    await until('its packets', () => known.size === 2)
    const silent = holding(
      packets(2),
      Array.from({ length: 9 }, () => 0),
      { refillMs: 300 },
    )
    silent.backfill.refill(key, peer('holder'))
    await until('the last attempt', () => silent.asked.length === 4)
    const late = performance.now() + 400
    await until('another, which is not made', () => performance.now() > late)
    assert.equal(silent.asked.length, 4)
  })

  test('and did not answer takes no other’s place: another is asked instead', async () => {
    const { backfill, known, called } = holding(packets(2), [0], { refillMs: 3_000, subscribers: ['dead', 'other'] })
    backfill.refill(key, peer('dead'))
    await until('the packets', () => known.size === 2)
    assert.deepEqual(called, ['dead', 'other'])
  })

  test('is forgotten with its key, also while it is to be asked again', async () => {
    const { backfill, asked } = holding(packets(2), [0], { refillMs: 15_000 })
    backfill.refill(key, peer('holder'))
    await until('the first attempt', () => asked.length === 1)
    backfill.forget(key)
    const late = performance.now() + 600
    await until('another, which is not made', () => performance.now() > late)
    assert.equal(asked.length, 1)
  })
})
