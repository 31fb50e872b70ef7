import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createMixing } from '../../router/synthesis/mixing.ts'
import { PRIOR_SHARES } from '../../router/synthesis/trust.ts'

const opinions = (local: number, peers: number) => ({
  local,
  robust: peers,
  network: peers,
  advised: peers,
  base: 0.5,
  move: peers - 0.5,
})

const loss = (p: number, signal: number) => -(signal * Math.log(p) + (1 - signal) * Math.log(1 - p))

describe('the mixture of experts', () => {
  it('begins with what is known beforehand', () => {
    assert.deepEqual(createMixing().shares('general'), { ...PRIOR_SHARES, slope: 1 })
  })

  it('loses little more than the best expert, whatever comes', () => {
    const probability = fc.integer({ min: 6, max: 94 }).map(percent => percent / 100)
    const round = fc.record({ local: probability, robust: probability, network: probability, signal: fc.nat(1) })
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 200 }), rounds => {
        const mixing = createMixing()
        const losses = { mixed: 0, local: 0, robust: 0, network: 0 }
        for (const { signal, ...expected } of rounds) {
          const shares = mixing.shares('general')
          const mixed =
            shares.local * expected.local + shares.robust * expected.robust + shares.network * expected.network
          losses.mixed += loss(mixed, signal)
          for (const expert of ['local', 'robust', 'network'] as const) losses[expert] += loss(expected[expert], signal)
          mixing.score('general', { ...expected, advised: mixed, base: 0.5, move: 0 }, signal, 1)
        }
        for (const expert of ['local', 'robust', 'network'] as const) {
          // ln(1 / prior share), and what dealing anew costs in so many rounds.
          const bound = Math.log(1 / PRIOR_SHARES[expert]) + 0.0021 * rounds.length
          assert.ok(losses.mixed <= losses[expert] + bound, `${losses.mixed} against ${losses[expert]} of ${expert}`)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('leaves the say to this site where peers are wrong, in that domain first', () => {
    const mixing = createMixing()
    for (let i = 0; i < 60; i++) mixing.score('clinical', opinions(0.6, 0.2), 1, 1)
    for (let i = 0; i < 60; i++) mixing.score('travel', opinions(0.4, 0.8), 1, 1)
    assert.ok(mixing.shares('clinical').local > 0.95)
    assert.ok(mixing.shares('travel').local < 0.05)
  })

  it('tells what peers have brought, in nats an outcome', () => {
    const mixing = createMixing()
    let benefit = mixing.score('travel', opinions(0.4, 0.8), 1, 1)
    assert.ok(Math.abs(benefit.nats - Math.log(0.8 / 0.4)) < 1e-9)
    assert.deepEqual([benefit.domain, benefit.outcomes], ['travel', 1])
    for (let i = 0; i < 50; i++) benefit = mixing.score('travel', opinions(0.4, 0.8), 0, 1)
    assert.ok(benefit.nats < 0)
  })

  it('believes neighbours less where they were followed in vain', () => {
    const mixing = createMixing()
    for (let i = 0; i < 400; i++) mixing.score('travel', opinions(0.5, i % 2 === 0 ? 0.9 : 0.1), i % 4 < 2 ? 1 : 0, 1)
    assert.ok(mixing.shares('travel').slope < 0.2)
    const right = createMixing()
    for (let i = 0; i < 400; i++) right.score('travel', opinions(0.5, i % 2 === 0 ? 0.7 : 0.3), i % 2 === 0 ? 1 : 0, 1)
    assert.ok(right.shares('travel').slope > 1.2)
  })

  it('heeds a weaker observer less', () => {
    const [strong, weak] = [1, 0.3].map(weight => {
      const mixing = createMixing()
      for (let i = 0; i < 10; i++) mixing.score('travel', opinions(0.6, 0.2), 1, weight)
      return mixing.shares('travel').local
    })
    assert.ok((strong as number) > (weak as number) && (weak as number) > PRIOR_SHARES.local)
  })

  it('counts so many domains apart, and the rest together', () => {
    const mixing = createMixing()
    const named = Array.from({ length: 100 }, (_, i) => mixing.score(`d${i}`, opinions(0.4, 0.8), 1, 1).domain)
    assert.equal(new Set(named).size, 33)
    assert.equal(named.at(-1), 'other')
  })

  it('survives a restart, and what cannot be read is forgotten', () => {
    const mixing = createMixing()
    for (let i = 0; i < 20; i++) mixing.score('travel', opinions(0.6, 0.2), 1, 1)
    const again = createMixing()
    again.restore(mixing.save())
    assert.deepEqual(again.shares('travel'), mixing.shares('travel'))
    assert.deepEqual(again.benefits(), mixing.benefits())
    for (const broken of ['', 'null', '[1]', '[["travel", {"local": 9}]]', '[["travel", null]]']) {
      const fresh = createMixing()
      fresh.restore(broken)
      assert.deepEqual(fresh.shares('travel'), { ...PRIOR_SHARES, slope: 1 })
    }
  })
})
