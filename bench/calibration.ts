/**
 * Compares ways to calibrate a posterior on simulated sites whose truth is known: how much log loss each saves over
 * telling the posterior as it is, after so many outcomes. Run: `npm run bench:calibration -- --json`
 */
import { seededRandom } from '../embeddings/train/corpus.ts'
import { createLogistic, logOdds, sigmoid } from '../router/synthesis/calibration.ts'
import { readArguments } from './arguments.ts'

const options = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
})

interface Answer {
  posterior: number
  own: number
  truth: number
  outcome: number
}

type Site = (normal: () => number) => Omit<Answer, 'outcome'>

/** What the posterior and the own confidence have to do with the truth, as sites may have it. */
const sites: Record<string, Site> = {
  'posterior right, own confidence noise': normal => {
    const odds = 1.2 * normal() + 0.5
    return { posterior: sigmoid(odds), own: sigmoid(2.5 + 0.8 * normal()), truth: sigmoid(odds) }
  },
  'posterior too sure': normal => {
    const odds = 1.2 * normal()
    return { posterior: sigmoid(2 * odds), own: sigmoid(2.5 + 0.8 * normal()), truth: sigmoid(odds) }
  },
  'posterior too friendly': normal => {
    const odds = 1.2 * normal()
    return { posterior: sigmoid(odds + 0.8), own: sigmoid(2.5 + 0.8 * normal()), truth: sigmoid(odds) }
  },
  'own confidence knows more, and is too sure': normal => {
    const seen = 0.8 * normal()
    const felt = normal()
    return { posterior: sigmoid(seen), own: sigmoid(2.5 + 1.5 * felt), truth: sigmoid(seen + felt) }
  },
}

/** Natural logarithms of p and 1 − p, kept from infinity as log-odds are. */
const logs = (p: number) => {
  const odds = logOdds(p)
  return [Math.log(sigmoid(odds)), -Math.log(1 - sigmoid(odds))]
}

interface Method {
  /** @param usual what the own confidence's log-odds have been on average */
  inputs(answer: Answer, usual: number): number[]
  mean: number[]
  deviation: number[]
  halfLife: number
}

const DEVIATION = [0.2, 0.3, 0.1, 0.3]

/** The own confidence counts by how far it is from what is usual for the model. */
const ours = (deviation: number[], halfLife = 1_000): Method => ({
  inputs: ({ posterior, own }, usual) => [1, logOdds(posterior), 1, logOdds(own) - usual],
  mean: [0, 1, 0, 0],
  deviation,
  halfLife,
})

const methods: Record<string, Method> = {
  'posterior and own': ours(DEVIATION),
  'posterior and own, prior half as wide': ours(DEVIATION.map(value => value / 2)),
  'posterior and own, prior twice as wide': ours(DEVIATION.map(value => value * 2)),
  'posterior and own, half-life 300': ours(DEVIATION, 300),
  'posterior and own, half-life 10000': ours(DEVIATION, 10_000),
  'posterior and own as it is': {
    ...ours(DEVIATION),
    inputs: ({ posterior, own }) => [1, logOdds(posterior), 1, logOdds(own)],
  },
  'Platt, posterior alone': {
    inputs: ({ posterior }) => [1, logOdds(posterior)],
    mean: [0, 1],
    deviation: [0.3, 0.3],
    halfLife: 1_000,
  },
  'beta, posterior alone': {
    inputs: ({ posterior }) => [1, ...logs(posterior)],
    mean: [0, 1, 1],
    deviation: [0.3, 0.3, 0.3],
    halfLife: 1_000,
  },
  'beta, posterior and own': {
    inputs: ({ posterior, own }) => [1, ...logs(posterior), 1, ...logs(own)],
    mean: [0, 1, 1, 0, 0, 0],
    deviation: [0.3, 0.3, 0.3, 0.5, 0.5, 0.5],
    halfLife: 1_000,
  },
}

/** Outcomes seen before each stretch that is scored, and where it ends. */
const STRETCHES = [
  [0, 20],
  [20, 100],
  [100, 500],
  [500, 2_000],
] as const
const RUNS = 100
const LAST = 2_000

const loss = (predicted: number, truth: number) => -truth * Math.log(predicted) - (1 - truth) * Math.log(1 - predicted)

/** Log loss against the truth saved an answer, in thousandths, for each stretch. */
function saved(site: Site, method: Method): number[] {
  const sums = STRETCHES.map(() => 0)
  for (let run = 0; run < RUNS; run++) {
    const draw = seededRandom(run + 1)
    const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
    const { inputs, ...options } = method
    const logistic = createLogistic(options)
    let usual = 0
    for (let count = 0; count < LAST; count++) {
      const answer = { ...site(normal), outcome: 0 }
      answer.outcome = draw() < answer.truth ? 1 : 0
      usual += (logOdds(answer.own) - usual) / (count + 1)
      const told = logistic.predict(inputs(answer, usual))
      const stretch = STRETCHES.findIndex(([from, to]) => count >= from && count < to)
      sums[stretch] = (sums[stretch] ?? 0) + loss(answer.posterior, answer.truth) - loss(told, answer.truth)
      logistic.learn(inputs(answer, usual), answer.outcome, 1)
    }
  }
  return sums.map((sum, at) => {
    const [from, to] = STRETCHES[at] ?? [0, 1]
    return Math.round((1e6 * sum) / (RUNS * (to - from))) / 1e3
  })
}

const results = Object.fromEntries(
  Object.entries(sites).map(([name, site]) => [
    name,
    Object.fromEntries(Object.entries(methods).map(([label, method]) => [label, saved(site, method)])),
  ]),
)
if (!options.json) {
  const columns = STRETCHES.map(([from, to]) => `${from}–${to}`.padStart(10)).join('')
  for (const [name, lines] of Object.entries(results)) {
    process.stdout.write(`\n${name}: log loss saved, thousandths, after outcomes\n${' '.repeat(42)}${columns}\n`)
    for (const [label, values] of Object.entries(lines)) {
      process.stdout.write(`${label.padEnd(42)}${values.map(value => value.toFixed(1).padStart(10)).join('')}\n`)
    }
  }
}
process.stdout.write(`${JSON.stringify({ stretches: STRETCHES, saved: results })}\n`)
