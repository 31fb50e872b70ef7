/**
 * Makes a told confidence mean what it says: the swarm's posterior, and the model's own confidence where it is known, go
 * into one online logistic regression for each model, fitted on this site's outcomes. Pure but for its state.
 */
import { createReliability, type Reliability, type ReliabilityState } from './reliability.ts'

export interface Calibration {
  /**
   * @param posterior what the evidence lets expect, 0..1
   * @param own the model's own confidence, 0..1, where it is known
   * @returns 0..1; the posterior itself where no outcome has said otherwise
   */
  apply(model: string, posterior: number, own?: number): number
  /** Learns from an outcome what `apply` should have said, and keeps account of what it did say. */
  observe(model: string, posterior: number, own: number | undefined, signal: number, weight: number): void
  /** Of all models together, and of each. */
  reliability(): { all: Reliability; models: Record<string, Reliability> }
  /** Another after each change. */
  readonly version: number
  /** All that has to outlive this process. */
  save(): string
  /** Takes up what `save` wrote; anything else is passed over. */
  restore(saved: string): void
}

/**
 * Intercept and log-odds of the posterior; and, only where the model's own confidence is known, an intercept and its
 * log-odds, less what is usual for the model: nearly all say of nearly all answers that they are sure.
 */
const INPUTS = 4
/** Trust the posterior as it is, and let the own confidence prove itself first. */
const PRIOR_MEAN = [0, 1, 0, 0] as const
/**
 * Standard deviations of what is believed before any outcome, and the outcomes after which an observation counts half:
 * the best of a few on simulated sites (`npm run bench:calibration`), where it was held against Platt's and beta
 * calibration as well (Platt 1999; Kull, Silva Filho, Flach 2017).
 */
const PRIOR_DEVIATION = [0.2, 0.3, 0.1, 0.3] as const
const HALF_LIFE = 1_000
const MAX_MODELS = 200
/** Log-odds beyond which a probability is no longer believed. */
const MOST_CERTAIN = 0.99

export interface LogisticOptions {
  mean: readonly number[]
  deviation: readonly number[]
  halfLife: number
}

export interface Logistic {
  predict(inputs: readonly number[]): number
  learn(inputs: readonly number[], signal: number, weight: number): void
  readonly mean: readonly number[]
  readonly precision: readonly number[]
}

/**
 * Bayesian logistic regression, one observation at a time: after each, the posterior is the normal distribution that has
 * its mode and curvature (Spiegelhalter, Lauritzen 1990). What was learnt fades back to the prior, so that it can change.
 *
 * @param state `mean` and `precision` (row-major) of an earlier one
 */
export function createLogistic(
  options: LogisticOptions,
  state?: { mean: readonly number[]; precision: readonly number[] },
) {
  const { mean: priorMean, deviation, halfLife } = options
  const n = priorMean.length
  const kept = 2 ** (-1 / halfLife)
  const prior = Array.from({ length: n * n }, (_, at) =>
    at % (n + 1) === 0 ? (deviation[at / (n + 1)] ?? 1) ** -2 : 0,
  )
  let mean = [...(state?.mean ?? priorMean)]
  let precision = [...(state?.precision ?? prior)]

  const logistic: Logistic = {
    predict: inputs => sigmoid(dot(mean, inputs)),
    learn(inputs, signal, weight) {
      const faded = precision.map((value, at) => kept * value + (1 - kept) * (prior[at] ?? 0))
      const pull = times(precision, mean).map(
        (value, at) => kept * value + (1 - kept) * (times(prior, priorMean)[at] ?? 0),
      )
      const believed = solve(faded, pull)
      const expected = sigmoid(dot(believed, inputs))
      const curvature = weight * expected * (1 - expected)
      precision = faded.map(
        (value, at) => value + curvature * (inputs[Math.floor(at / n)] ?? 0) * (inputs[at % n] ?? 0),
      )
      const step = solve(
        precision,
        inputs.map(input => weight * (signal - expected) * input),
      )
      mean = believed.map((value, at) => value + (step[at] ?? 0))
    },
    get mean() {
      return mean
    },
    get precision() {
      return precision
    },
  }
  return logistic
}

interface ModelState {
  logistic: Logistic
  reliability: ReturnType<typeof createReliability>
  /** Mean log-odds of the model's own confidence, and of how many answers. */
  usual: { mean: number; count: number }
}

export function createCalibration({ maxModels = MAX_MODELS } = {}): Calibration {
  const options = { mean: PRIOR_MEAN, deviation: PRIOR_DEVIATION, halfLife: HALF_LIFE }
  /** The model heard of last is the last. */
  const models = new Map<string, ModelState>()
  let all = createReliability()
  let version = 0

  function apply(model: string, posterior: number, own?: number): number {
    const known = models.get(model)
    if (!known) return posterior
    const { mean } = known.logistic
    // More confidence never means less, whatever a run of bad luck would have it.
    const [intercept = 0, ofPosterior = 1, ownIntercept = 0, ofOwn = 0] = mean
    const base = intercept + Math.max(0, ofPosterior) * logOdds(posterior)
    if (own === undefined || known.usual.count === 0) return sigmoid(base)
    return sigmoid(base + ownIntercept + Math.max(0, ofOwn) * (logOdds(own) - known.usual.mean))
  }

  const newModel = (): ModelState => ({
    logistic: createLogistic(options),
    reliability: createReliability(),
    usual: { mean: 0, count: 0 },
  })

  return {
    apply,
    observe(model, posterior, own, signal, weight) {
      const known = models.get(model) ?? newModel()
      const told = apply(model, posterior, own)
      for (const account of [known.reliability, all]) account.count(told, posterior, signal)
      if (own !== undefined) {
        known.usual.count = Math.min(known.usual.count + 1, HALF_LIFE)
        known.usual.mean += (logOdds(own) - known.usual.mean) / known.usual.count
      }
      known.logistic.learn(inputsOf(posterior, own, known.usual.mean), signal, weight)
      models.delete(model)
      models.set(model, known)
      const [oldest] = models.keys()
      if (models.size > maxModels && oldest !== undefined) models.delete(oldest)
      version++
    },
    reliability: () => ({
      all: all.read(),
      models: Object.fromEntries([...models].map(([model, { reliability }]) => [model, reliability.read()])),
    }),
    get version() {
      return version
    },
    save() {
      const entries = [...models].map(([model, { logistic, reliability, usual }]) => ({
        model,
        usual,
        mean: logistic.mean,
        precision: logistic.precision,
        counts: reliability.save(),
      }))
      return JSON.stringify({ v: 1, all: all.save(), models: entries } satisfies Saved)
    },
    restore(saved) {
      const state = readSaved(saved)
      if (!state) return
      all = createReliability(state.all)
      for (const { model, mean, precision, counts, usual } of state.models.slice(-maxModels)) {
        const logistic = createLogistic(options, { mean, precision })
        models.set(model, { logistic, reliability: createReliability(counts), usual })
      }
      version++
    },
  }
}

interface Saved {
  v: 1
  all: ReliabilityState
  models: {
    model: string
    mean: readonly number[]
    precision: readonly number[]
    counts: ReliabilityState
    usual: ModelState['usual']
  }[]
}

function readSaved(text: string): Saved | undefined {
  try {
    const saved = JSON.parse(text) as Saved
    const sound = (numbers: readonly number[], length: number) =>
      numbers.length === length && numbers.every(Number.isFinite)
    const fits = saved.models.every(({ mean, precision }) => sound(mean, INPUTS) && sound(precision, INPUTS ** 2))
    return saved.v === 1 && fits ? saved : undefined
  } catch {
    return undefined
  }
}

function inputsOf(posterior: number, own: number | undefined, usual: number): number[] {
  return own === undefined ? [1, logOdds(posterior), 0, 0] : [1, logOdds(posterior), 1, logOdds(own) - usual]
}

export function logOdds(probability: number): number {
  const believed = Math.min(MOST_CERTAIN, Math.max(1 - MOST_CERTAIN, probability))
  return Math.log(believed / (1 - believed))
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
}

function times(matrix: readonly number[], vector: readonly number[]): number[] {
  const n = vector.length
  return vector.map((_, row) => dot(matrix.slice(row * n, (row + 1) * n), vector))
}

/** x of `matrix · x = vector`, by Gaussian elimination; the matrix is positive definite, so that nothing need be swapped. */
function solve(matrix: readonly number[], vector: readonly number[]): number[] {
  const n = vector.length
  const a = [...matrix]
  const x = [...vector]
  const at = (row: number, column: number) => a[row * n + column] ?? 0
  for (let pivot = 0; pivot < n; pivot++) {
    for (let row = pivot + 1; row < n; row++) {
      const factor = at(row, pivot) / at(pivot, pivot)
      for (let column = pivot; column < n; column++) a[row * n + column] = at(row, column) - factor * at(pivot, column)
      x[row] = (x[row] ?? 0) - factor * (x[pivot] ?? 0)
    }
  }
  for (let row = n - 1; row >= 0; row--) {
    let rest = x[row] ?? 0
    for (let column = row + 1; column < n; column++) rest -= at(row, column) * (x[column] ?? 0)
    x[row] = rest / at(row, row)
  }
  return x
}
