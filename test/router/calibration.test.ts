import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { createCalibration, createLogistic, logOdds, sigmoid } from '../../router/synthesis/calibration.ts'

const MODEL = 'llama-3'

/** Outcomes of a site whose truth is known. */
function* site(count: number, truthOf: (posterior: number, own: number) => number, seed = 1) {
  const draw = seededRandom(seed)
  for (let made = 0; made < count; made++) {
    const posterior = 0.05 + 0.9 * draw()
    const own = 0.5 + 0.5 * draw()
    yield { posterior, own, signal: draw() < truthOf(posterior, own) ? 1 : 0 }
  }
}

const probability = fc.double({ min: 0, max: 1, noNaN: true })

describe('calibration', () => {
  it('leaves the posterior as it is where nothing is known of the model', () => {
    const calibration = createCalibration()
    fc.assert(
      fc.property(probability, fc.option(probability, { nil: undefined }), (posterior, own) => {
        assert.equal(calibration.apply(MODEL, posterior, own), posterior)
      }),
    )
  })

  it('hardly touches a posterior that is right', () => {
    const calibration = createCalibration()
    for (const { posterior, own, signal } of site(2_000, posterior => posterior)) {
      calibration.observe(MODEL, posterior, own, signal, 1)
    }
    for (const posterior of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      assert.ok(
        Math.abs(calibration.apply(MODEL, posterior) - posterior) < 0.05,
        String(calibration.apply(MODEL, posterior)),
      )
    }
  })

  it('corrects one that is too sure of itself, or too friendly, of that model alone', () => {
    const truths = {
      sure: (posterior: number) => sigmoid(logOdds(posterior) / 2),
      friendly: (posterior: number) => sigmoid(logOdds(posterior) - 1),
    }
    for (const truth of Object.values(truths)) {
      const calibration = createCalibration()
      for (const { posterior, signal } of site(3_000, truth))
        calibration.observe(MODEL, posterior, undefined, signal, 1)
      for (const posterior of [0.2, 0.5, 0.8, 0.9]) {
        const told = calibration.apply(MODEL, posterior)
        assert.ok(Math.abs(told - truth(posterior)) < 0.05, `${told} for ${truth(posterior)}`)
      }
      assert.equal(calibration.apply('another', 0.9), 0.9)
    }
  })

  it('learns what the own confidence is worth: all, or nothing', () => {
    const telling = createCalibration()
    for (const { posterior, own, signal } of site(3_000, (_, own) => own))
      telling.observe(MODEL, posterior, own, signal, 1)
    const gain = telling.apply(MODEL, 0.7, 0.95) - telling.apply(MODEL, 0.7, 0.55)
    assert.ok(gain > 0.3, `${gain}`)
    const idle = createCalibration()
    for (const { posterior, own, signal } of site(3_000, posterior => posterior))
      idle.observe(MODEL, posterior, own, signal, 1)
    assert.ok(Math.abs(idle.apply(MODEL, 0.7, 0.95) - idle.apply(MODEL, 0.7, 0.55)) < 0.08)
  })

  it('starts where it is told to, the more firmly the surer it is told to be, and fades as fast as it is told to', () => {
    const base = { mean: [0, 1], deviation: [0.5, 0.5], halfLife: 100 }
    const learnt = (changes: Partial<typeof base>) => {
      const logistic = createLogistic({ ...base, ...changes })
      for (let i = 0; i < 10; i++) logistic.learn([1, 0.5], 0, 1)
      return logistic.predict([1, 0.5])
    }
    const usual = learnt({})
    assert.ok(learnt({ mean: [1, 1] }) > usual + 0.01)
    assert.ok(learnt({ deviation: [0.1, 0.1] }) > usual + 0.01, 'who is sure is moved less')
    assert.ok(learnt({ halfLife: 2 }) > usual + 0.01, 'who forgets comes back to where it started')
  })

  it('is moved little by few outcomes, and less by lighter ones', () => {
    const after = (count: number, weight: number) => {
      const calibration = createCalibration()
      for (let learnt = 0; learnt < count; learnt++) calibration.observe(MODEL, 0.8, undefined, 0, weight)
      return calibration.apply(MODEL, 0.8)
    }
    assert.ok(after(1, 1) > 0.75)
    assert.ok(after(1, 1) > after(5, 1) && after(5, 1) > after(50, 1))
    assert.ok(after(5, 0.5) > after(5, 1))
  })

  it('follows a model that has changed', () => {
    const calibration = createCalibration()
    for (const { posterior, signal } of site(3_000, () => 0.9))
      calibration.observe(MODEL, posterior, undefined, signal, 1)
    const before = calibration.apply(MODEL, 0.5)
    for (const { posterior, signal } of site(3_000, () => 0.1))
      calibration.observe(MODEL, posterior, undefined, signal, 1)
    assert.ok(before > 0.8 && calibration.apply(MODEL, 0.5) < 0.25)
  })

  it('stays within 0..1 and never says less where posterior or own confidence say more, whatever was learnt', () => {
    const outcome = fc.record({
      posterior: probability,
      own: fc.option(probability, { nil: undefined }),
      signal: probability,
    })
    fc.assert(
      fc.property(
        fc.array(outcome, { maxLength: 40 }),
        probability,
        probability,
        probability,
        probability,
        (learnt, a, b, own, more) => {
          const calibration = createCalibration()
          for (const { posterior, own, signal } of learnt) calibration.observe(MODEL, posterior, own, signal, 1)
          const low = calibration.apply(MODEL, Math.min(a, b), Math.min(own, more))
          const high = calibration.apply(MODEL, Math.max(a, b), Math.max(own, more))
          assert.ok(low >= 0 && high <= 1 && low <= high + 1e-12, `${low} ${high}`)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('goes on after a restart as if there had been none, and passes over what it did not write', () => {
    const first = createCalibration()
    for (const { posterior, own, signal } of site(200, () => 0.3)) first.observe(MODEL, posterior, own, signal, 1)
    const second = createCalibration()
    second.restore(first.save())
    assert.equal(second.apply(MODEL, 0.6, 0.9), first.apply(MODEL, 0.6, 0.9))
    assert.deepEqual(second.reliability(), first.reliability())
    for (const calibration of [first, second]) calibration.observe(MODEL, 0.5, 0.9, 1, 1)
    assert.equal(second.apply(MODEL, 0.6, 0.9), first.apply(MODEL, 0.6, 0.9))
    for (const saved of ['', 'null', '{}', '{"v":1,"models":[{"model":"m","mean":[1],"precision":[]}]}', '{"v":2}']) {
      const other = createCalibration()
      other.restore(saved)
      assert.equal(other.apply(MODEL, 0.6), 0.6, saved)
    }
  })

  it('remembers so many models, those heard of last', () => {
    const calibration = createCalibration({ maxModels: 2 })
    for (const model of ['a', 'b', 'a', 'c']) calibration.observe(model, 0.9, undefined, 0, 1)
    assert.deepEqual(Object.keys(calibration.reliability().models), ['a', 'c'])
    const again = createCalibration({ maxModels: 1 })
    again.restore(calibration.save())
    assert.deepEqual(Object.keys(again.reliability().models), ['c'])
  })
})

describe('reliability', () => {
  it('bins what was told, and says what came of it', () => {
    const calibration = createCalibration()
    assert.deepEqual(calibration.reliability().all.brier, { told: undefined, posterior: undefined })
    calibration.observe('a', 0.95, undefined, 1, 1)
    calibration.observe('b', 0.95, undefined, 0, 1)
    calibration.observe('c', 1, undefined, 1, 1)
    calibration.observe('d', 0.31, undefined, 0.5, 1)
    const { all, models } = calibration.reliability()
    assert.equal(all.outcomes, 4)
    assert.deepEqual(
      all.bins.map(({ count }) => count),
      [0, 0, 0, 1, 0, 0, 0, 0, 0, 3],
    )
    const last = all.bins[9]
    assert.ok(
      last && Math.abs((last.predicted ?? 0) - 2.9 / 3) < 1e-12 && Math.abs((last.observed ?? 0) - 2 / 3) < 1e-12,
    )
    assert.deepEqual([last.from, last.to, all.bins[0]?.predicted], [0.9, 1, undefined])
    const squares = 0.05 ** 2 + 0.95 ** 2 + 0 + 0.19 ** 2
    assert.ok(Math.abs((all.brier.told ?? 0) - squares / 4) < 1e-12)
    assert.ok(Math.abs((all.calibrationError.told ?? 0) - (Math.abs(2.9 - 2) + 0.19) / 4) < 1e-12)
    assert.deepEqual(Object.keys(models), ['a', 'b', 'c', 'd'])
  })

  it('is better of what was told than of the posterior alone, where that is wrong', () => {
    const calibration = createCalibration()
    for (const { posterior, signal } of site(5_000, posterior => sigmoid(logOdds(posterior) / 2 - 0.7))) {
      calibration.observe(MODEL, posterior, undefined, signal, 1)
    }
    const { brier, calibrationError } = calibration.reliability().all
    assert.ok((brier.told ?? 1) < (brier.posterior ?? 0) - 0.02)
    assert.ok((calibrationError.told ?? 1) < 0.03 && (calibrationError.posterior ?? 0) > 0.1)
  })

  it('forgets what was long ago, and stays bounded', () => {
    const calibration = createCalibration()
    for (let count = 0; count < 9_999; count++) calibration.observe(MODEL, 0.5, undefined, 1, 1)
    assert.equal(calibration.reliability().all.outcomes, 9_999)
    calibration.observe(MODEL, 0.5, undefined, 1, 1)
    assert.equal(calibration.reliability().all.outcomes, 5_000)
  })
})
