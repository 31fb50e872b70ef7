/** Whether a treatment helps, by outcomes with it and of those held back at random. Pure. */

/** Outcomes of one arm; `good` is the sum of their signals, 0..1 each. */
export interface Arm {
  n: number
  good: number
}

export interface Verdict {
  /** Mean outcome with the treatment less the mean without, −1..1; each starts from one good and one bad outcome. */
  effect: number
  /** That the treatment is better than nothing, 0..1. */
  probability: number
  /** Off: it harms, or has had its time and cannot be seen to help. */
  state: 'running' | 'off'
}

/** No verdict before each arm has so many outcomes. */
const MIN_OUTCOMES = 10
/** Below this probability the treatment is taken to harm. */
const HARMS = 0.1
/** With so many in the smaller arm it must be likely to help, or it is not worth its words. */
const ENOUGH = 100
const HELPS = 0.8

/**
 * Beta(1 + good, 1 + bad) for each arm, and the probability that one mean is above the other by the normal
 * approximation to their difference.
 */
export function judgeTrial(treated: Arm, held: Arm): Verdict {
  const [a, b] = [posterior(treated), posterior(held)]
  const effect = a.mean - b.mean
  const probability = normalCdf(effect / Math.sqrt(a.variance + b.variance))
  const least = Math.min(treated.n, held.n)
  const off = least >= MIN_OUTCOMES && (probability < HARMS || (least >= ENOUGH && probability < HELPS))
  return { effect, probability, state: off ? 'off' : 'running' }
}

function posterior({ n, good }: Arm): { mean: number; variance: number } {
  const mean = (1 + good) / (2 + n)
  return { mean, variance: (mean * (1 - mean)) / (n + 3) }
}

/** Abramowitz & Stegun 26.2.17; absolute error below 1e-7. */
function normalCdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const tail =
    ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t + 0.31938153) *
    t *
    (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI))
  return z > 0 ? 1 - tail : tail
}
