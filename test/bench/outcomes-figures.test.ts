import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brier, calibrationError, figuresOf, interval, logLoss, meanFigures } from '../../bench/outcomes/figures.ts'

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`)
}

test('the Brier score is the mean square distance', () => {
  near(brier([0.8, 0.4], [1, 0]), (0.04 + 0.16) / 2)
})

test('log loss is in nats, and no certainty costs more than that of one in a hundred', () => {
  near(logLoss([0.8, 0.4], [1, 0]), -(Math.log(0.8) + Math.log(0.6)) / 2)
  near(logLoss([0], [1]), -Math.log(0.01))
})

test('the calibration error is the distance of what was expected from what came, bin by bin', () => {
  // 0.1 and 0.12 fall into one bin of which half came true; 0.95 into another, which came true.
  near(calibrationError([0.1, 0.12, 0.95], [1, 0, 1]), (Math.abs(0.22 - 1) + Math.abs(0.95 - 1)) / 3)
  near(calibrationError([0.5, 0.5], [1, 0]), 0)
})

test('skill is against the base rate, and AUC counts pairs in order', () => {
  const { auc, bss } = figuresOf({ expected: [0.9, 0.3, 0.6, 0.6], outcomes: [1, 0, 1, 0], base: 0.5 })
  near(auc, 3.5 / 4)
  near(bss, 1 - (0.01 + 0.09 + 0.16 + 0.36) / 1)
})

test('means pass over what is no number: a model that is never wrong has no AUC', () => {
  const some = figuresOf({ expected: [0.9, 0.3], outcomes: [1, 0], base: 0.5 })
  const right = figuresOf({ expected: [0.9, 0.8], outcomes: [1, 1], base: 0.9 })
  assert.ok(Number.isNaN(right.auc))
  assert.equal(meanFigures([some, right]).auc, 1)
})

test('an interval over seeds is by Student, and one seed has none', () => {
  const { mean, half } = interval([1, 2, 3])
  near(mean, 2)
  near(half, 4.3 / Math.sqrt(3))
  assert.ok(Number.isNaN(interval([1]).half))
})
