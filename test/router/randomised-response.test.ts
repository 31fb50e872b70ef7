import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { createNoise } from '../../router/departures.ts'
import { createEvidenceIndex } from '../../router/evidence.ts'
import { OBSERVER_WEIGHT, observers } from '../../router/outcome.ts'
import { type Epsilon, flipProbability, noiseWeight, randomised, unbiased } from '../../router/randomised-response.ts'
import { decodeCell, evidenceIn, someEvidence } from '../support/router-support.ts'

const EPSILONS: Epsilon[] = [1, 2, 4]

describe('randomised response', () => {
  it('keeps the ratio of what one bit may tell within e^ε', () => {
    for (const epsilon of EPSILONS) {
      const p = flipProbability(epsilon)
      assert.ok(Math.abs((1 - p) / p - Math.exp(epsilon)) < 1e-9)
      // Over all dice: of 10,000, as many ones as the probability says, and never out of the ratio.
      const ones = (signal: number) =>
        Array.from({ length: 10_000 }, (_, at) => randomised(signal, epsilon, (at + 0.5) / 10_000)).filter(Boolean)
          .length
      for (const signal of [0, 0.3, 1]) assert.ok(Math.abs(ones(signal) / 10_000 - (p + (1 - 2 * p) * signal)) <= 1e-4)
    }
  })

  it('is unbiased: the mean of many unbiased bits is the signal', () => {
    const draw = seededRandom(1)
    const N = 40_000
    for (const epsilon of EPSILONS) {
      for (const signal of [0, 0.25, 0.5, 0.9, 1]) {
        let sum = 0
        for (let count = 0; count < N; count++) sum += unbiased(randomised(signal, epsilon, draw()), epsilon)
        const p = flipProbability(epsilon)
        const deviation = 0.5 / (1 - 2 * p) / Math.sqrt(N)
        assert.ok(Math.abs(sum / N - signal) < 4 * deviation, `ε ${epsilon}: ${sum / N} for ${signal}`)
      }
    }
  })

  it('counts for what it says: a bit weighs (1 − 2p)², and never more in all than a signal in clear', () => {
    assert.ok(Math.abs(noiseWeight(2) - Math.tanh(1) ** 2) < 1e-12)
    fc.assert(
      fc.property(fc.constantFrom(...EPSILONS), fc.constantFrom(0, 1), (epsilon, bit) => {
        assert.ok(noiseWeight(epsilon) < 1)
        assert.ok(Math.abs(noiseWeight(epsilon) * (unbiased(bit, epsilon) - 0.5)) <= 0.5)
      }),
    )
  })
})

describe('the dice of a noisy answer', () => {
  const noise = createNoise(Buffer.alloc(32, 1))

  it('fall the same way every time, whoever speaks of the answer, and another way for another answer or node', () => {
    const first = noise('00112233aabbccdd')
    assert.equal(createNoise(Buffer.alloc(32, 1))('00112233aabbccdd'), first)
    assert.notEqual(noise('00112233aabbccde'), first)
    assert.notEqual(createNoise(Buffer.alloc(32, 2))('00112233aabbccdd'), first)
  })

  it('are fair', () => {
    const tenths = new Array<number>(10).fill(0)
    for (let count = 0; count < 10_000; count++) {
      const tenth = Math.floor(noise(count.toString(16).padStart(16, '0')) * 10)
      tenths[tenth] = (tenths[tenth] ?? Number.NaN) + 1
    }
    for (const count of tenths) assert.ok(Math.abs(count - 1000) < 150, tenths.join())
  })
})

describe('noisy evidence', () => {
  it('is read without bias, and weighs what noise and observer leave', () => {
    const index = createEvidenceIndex(decodeCell, 100)
    for (const [count, observer] of observers.entries()) {
      index.put({ ...someEvidence({ answer: `${count}`.repeat(16), observer, signal: 1 }), epsilon: 2 })
    }
    index.put(someEvidence({ answer: 'f'.repeat(16), signal: 0.4 }))
    const found = evidenceIn(index, 0xa9)
    for (const { observer, signal, observerWeight } of found.slice(0, 3)) {
      assert.equal(signal, unbiased(1, 2))
      assert.equal(observerWeight, OBSERVER_WEIGHT[observer] * noiseWeight(2))
    }
    assert.deepEqual([found[3]?.signal, found[3]?.observerWeight], [0.4, 1])
  })

  it('gives a model the average it has: 2,000 noisy answers beside as many in clear', () => {
    const draw = seededRandom(7)
    const clear = createEvidenceIndex(decodeCell, 10_000)
    const noisy = createEvidenceIndex(decodeCell, 10_000)
    for (let count = 0; count < 2_000; count++) {
      const signal = draw() < 0.8 ? 1 : 0
      const said = someEvidence({ answer: count.toString(16).padStart(16, '0'), author: `peer ${count % 100}`, signal })
      clear.put(said)
      noisy.put({ ...said, signal: randomised(signal, 2, draw()), epsilon: 2 })
    }
    const mean = (index: typeof clear) => {
      const { sum, n } = index.tally('llama-3.1-8b-instruct', undefined, false)
      return sum / n
    }
    assert.ok(
      Math.abs(mean(clear) - mean(noisy)) < 4 * (0.5 / 0.7616 / Math.sqrt(2_000)),
      `${mean(clear)} ${mean(noisy)}`,
    )
  })
})
