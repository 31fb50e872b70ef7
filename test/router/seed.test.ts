import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createEvidenceIndex, SELF } from '../../router/evidence.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { SEED_START, seedAdjustment, seedEstimate, seedStep } from '../../router/synthesis/seed.ts'
import { LINKED_LIST, startNode, TRAIN } from '../support/router-node.ts'
import { decodeCell, NOW, someEvidence } from '../support/router-support.ts'

interface Step {
  os: number
  ci: number
  ca: boolean
  weight: number
  adjustment: number
}
const { runs } = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/seed-rule.json'), 'utf8')) as {
  runs: { name: string; steps: Step[] }[]
}

describe('the arithmetic of the published rule', () => {
  for (const { name, steps } of runs) {
    it(`is followed to the last bit: ${name}`, () => {
      let weight = SEED_START
      for (const { os, ci, ca, ...expected } of steps) {
        weight = seedStep(weight, { signal: os, confidence: ci, corrected: ca })
        assert.deepEqual({ weight, adjustment: seedAdjustment(weight) }, expected)
      }
    })
  }

  it('keeps the adjustment within ±0.3, and lets nothing move it before there is an outcome', () => {
    assert.equal(seedAdjustment(SEED_START), 0)
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(unit, unit, fc.boolean())), outcomes => {
        const weight = outcomes.reduce(
          (held, [signal, confidence, corrected]) => seedStep(held, { signal, confidence, corrected }),
          SEED_START,
        )
        assert.ok(Math.abs(seedAdjustment(weight)) <= 0.3)
        assert.ok(weight >= -0.15 && weight <= 1)
      }),
    )
  })
})

describe('the estimate by the published rule', () => {
  const question = { code: 'a94a939de36cb2e6', domain: 'general', prior: 0.6, now: NOW + 100 }
  const put = (...said: Parameters<typeof someEvidence>[0][]) => {
    const index = createEvidenceIndex(decodeCell, 100)
    for (const [count, one] of said.entries()) {
      index.put(someEvidence({ answer: count.toString(16).padStart(16, '0'), time: NOW + count, ...one }))
    }
    return index.near(new Float32Array(480), [0xa9], Number.NEGATIVE_INFINITY, 100)
  }
  const estimated = (...said: Parameters<typeof someEvidence>[0][]) => seedEstimate(put(...said), question)

  it('goes from the oldest to the newest in the exact bucket, whatever the model, the author and the order they came in', () => {
    const [mixed] = runs.filter(({ name }) => name === 'a mixed run')
    assert.ok(mixed)
    const said = mixed.steps.map(({ os, ci, ca }, at) => ({
      signal: os,
      confidence: ci,
      ...(ca && { correction: 'factual' as const }),
      time: NOW + at,
      answer: at.toString(16).padStart(16, '0'),
      author: at % 2 === 0 ? SELF : `peer ${at}`,
      model: `model-${at}`,
    }))
    const last = mixed.steps.at(-1)?.adjustment
    for (const order of [said, said.toReversed()]) {
      const { adjustment, confidence, grade, packets, peers } = estimated(...order)
      assert.equal(adjustment, last)
      assert.equal(confidence, 0.6 + (last ?? Number.NaN))
      assert.deepEqual([grade, packets, peers], ['moderate', 3, 3])
    }
  })

  it('passes over other buckets, other domains, and what was taken back, refined or has expired', () => {
    const none = estimated(
      { code: 'a94b939de36cb2e6'.replace('a94', 'a95') },
      { code: 'a9' },
      { domain: 'general.travel' },
      { withdrawn: true },
      { intervention: 2 },
      { expires: NOW + 100 },
    )
    const { deviation: _, prospect, ...rest } = none
    assert.deepEqual(rest, { confidence: 0.6, adjustment: 0, grade: 'none', weight: 0, packets: 0, peers: 0 })
    assert.equal(prospect.expected, 0.6)
    assert.equal(estimated({ code: 'a94' }).adjustment, 0.7 * 0.5 + 0.3 - 0.5)
  })
})

describe('a router set to the published rule', () => {
  it('tells what that rule says, and another set to ours does not', async () => {
    const told = async (estimator: 'seed' | 'ours') => {
      await using node = await startNode(createMemorySwarm(), { mode: 'off', estimator })
      await node.learn(TRAIN, { signal: 1, confidence: 0.85 })
      node.clock.now += 1
      await node.learn(TRAIN, { signal: 0, confidence: 0.9, correction: 'factual' })
      return [await node.ask(TRAIN, { prior: 0.6 }), await node.ask(LINKED_LIST, { prior: 0.6 })] as const
    }
    const [alike, other] = await told('seed')
    const expected = 0.7 * (0.7 * 0.5 + 0.3 * 0.85) + 0.3 * ((0 - 0.15) * 0.9) - 0.5
    assert.deepEqual([alike.adjustment, alike.confidence], [expected, 0.6 + expected])
    assert.deepEqual([other.adjustment, other.confidence, other.grade], [0, 0.6, 'none'])
    const [ours] = await told('ours')
    assert.notEqual(ours.confidence, alike.confidence)
  })
})
