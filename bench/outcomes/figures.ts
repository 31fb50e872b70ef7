/** The field's figures of merit for predicted outcomes, and their means with an interval. */
import { auc, brierSkill, mean } from '../fingerprint/measures.ts'

export { mean }

/** What was expected of a model's answers and what came, with the model's own average. */
export interface Predictions {
  expected: number[]
  outcomes: number[]
  base: number
}

export interface Figures {
  auc: number
  bss: number
  brier: number
  log_loss: number
  calibration_error: number
}

const LEAST = 0.01
const BINS = 10

export function figuresOf({ expected, outcomes, base }: Predictions): Figures {
  return {
    auc: auc(
      expected,
      outcomes.map(outcome => outcome > 0.5),
    ),
    bss: brierSkill(expected, outcomes, base),
    brier: brier(expected, outcomes),
    log_loss: logLoss(expected, outcomes),
    calibration_error: calibrationError(expected, outcomes),
  }
}

export function brier(expected: readonly number[], outcomes: readonly number[]): number {
  return mean(expected.map((p, i) => (p - (outcomes[i] as number)) ** 2))
}

/** Nats; what is expected is held to 0.01..0.99. */
export function logLoss(expected: readonly number[], outcomes: readonly number[]): number {
  return mean(
    expected.map((value, i) => {
      const p = Math.min(1 - LEAST, Math.max(LEAST, value))
      const y = outcomes[i] as number
      return -(y * Math.log(p) + (1 - y) * Math.log(1 - p))
    }),
  )
}

/** Mean distance of what was expected from what came, over ten bins of equal width, each by its size (Naeini et al. 2015). */
export function calibrationError(expected: readonly number[], outcomes: readonly number[]): number {
  const bins = Array.from({ length: BINS }, () => ({ expected: 0, came: 0 }))
  for (const [i, p] of expected.entries()) {
    const bin = bins[Math.min(BINS - 1, Math.floor(p * BINS))] as { expected: number; came: number }
    bin.expected += p
    bin.came += outcomes[i] as number
  }
  return bins.reduce((sum, bin) => sum + Math.abs(bin.expected - bin.came), 0) / expected.length
}

/** Means over several models or seeds, figure by figure; those that are no number (a model that is always right has no AUC) left out. */
export function meanFigures(all: readonly Figures[]): Figures {
  const of = (name: keyof Figures) => mean(all.map(figures => figures[name]).filter(Number.isFinite))
  return {
    auc: of('auc'),
    bss: of('bss'),
    brier: of('brier'),
    log_loss: of('log_loss'),
    calibration_error: of('calibration_error'),
  }
}

/** Student's t for 95 % by degrees of freedom, from 1. */
const T95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26]

/** Mean over seeds and half the width of its 95 % interval; no width from one seed. */
export function interval(values: readonly number[]): { mean: number; half: number } {
  const center = mean(values)
  const n = values.length
  if (n < 2) return { mean: center, half: Number.NaN }
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (n - 1)
  return { mean: center, half: (T95[n - 2] ?? 1.96) * Math.sqrt(variance / n) }
}
