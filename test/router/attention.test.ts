import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAttention } from '../../router/attention.ts'
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'
import { until } from '../support/poll.ts'

const key = (cell: number) => routingKey('0123abcd', 'general', cell)
const [JOINED, OTHER] = [key(0), key(1)]

function attention(brought: () => Promise<number>, { maxJoined = 1 } = {}) {
  const time = { s: 1_000_000 }
  const visits: RoutingKey[] = []
  const left: RoutingKey[] = []
  const made = createAttention(
    {
      network: {
        join() {},
        leave: given => void left.push(given),
        backfill: given => {
          visits.push(given)
          return brought()
        },
      },
      logger: { debug() {}, info() {}, warn() {} },
      now: () => time.s,
      stopping: new AbortController().signal,
    },
    { maxJoined },
  )
  return { time, visits, left, ...made }
}

describe('a cell outside the interest', () => {
  it('is visited once, and again after an hour', async () => {
    const { time, visits, notice } = attention(async () => 3)
    for (let question = 0; question < 3; question++) notice([JOINED, OTHER])
    await until('the visit', () => visits.length > 0)
    await new Promise(setImmediate)
    time.s += 3_599
    notice([JOINED, OTHER])
    assert.deepEqual(visits, [OTHER])
    time.s += 1
    notice([JOINED, OTHER])
    assert.deepEqual(visits, [OTHER, OTHER])
  })

  it('is visited again after a minute when nobody was there, or the visit failed', async () => {
    for (const brought of [async () => 0, () => Promise.reject(new Error('no way'))]) {
      const { time, visits, notice } = attention(brought)
      notice([JOINED, OTHER])
      await new Promise(setImmediate)
      time.s += 60
      notice([JOINED, OTHER])
      assert.deepEqual(visits, [OTHER, OTHER])
    }
  })

  it('waits for its turn: two are visited at a time', async () => {
    const ends: (() => void)[] = []
    const { visits, notice } = attention(() => new Promise(resolve => ends.push(() => resolve(1))))
    notice([JOINED, ...[1, 2, 3, 4, 5].map(key)])
    assert.equal(visits.length, 2)
    ends.shift()?.()
    await until('the next', () => visits.length === 3)
  })
})

describe('a cell of the interest', () => {
  it('is left when nobody has asked about it for long', () => {
    const { time, left, notice, forgetVisits } = attention(async () => 0)
    notice([JOINED])
    time.s += 5 * 7 * 24 * 3_600
    forgetVisits()
    assert.deepEqual(left, [])
    time.s += 3_600
    forgetVisits()
    assert.deepEqual(left, [JOINED])
  })

  it('is left when it has become a small part of what is asked, without waiting for long', () => {
    const { left, notice } = attention(async () => 1, { maxJoined: 24 })
    notice([OTHER])
    for (let question = 2; question < 128; question++) notice([JOINED])
    assert.deepEqual(left, [], 'a hundredth stays')
    for (let question = 128; question <= 192; question++) notice([JOINED])
    assert.deepEqual(left, [OTHER])
  })
})
