/**
 * How well the estimator's hyperparameters fit a table, by log loss on the questions that are not tested: one after another
 * is moved along a grid, and what is chosen is judged on each task by a choice made on all the others.
 */
import { PROBES } from '../../router/comparison.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { assess, MAX_NEIGHBOURS, MIN_SIMILARITY } from '../../router/synthesis/estimator.ts'
import { FITTED, type Hyperparameters } from '../../router/synthesis/kernel.ts'
import { readArguments } from '../arguments.ts'
import { logLoss, mean } from './figures.ts'
import { type Prepared, prepare } from './prepare.ts'
import { dealOut, domainOf, type Scenario, settle, type World } from './scenario.ts'
import { NOW } from './site.ts'
import { deal, readTable } from './table.ts'

const values = readArguments(import.meta.filename, {
  table: { type: 'string', help: 'the folder of <name>.questions.jsonl and <name>.outcomes.csv; needed' },
  asked: { type: 'string', default: '300', help: 'questions asked a model; the others become packets' },
  models: { type: 'string', default: '3', help: 'how many of the table' },
  passes: { type: 'string', default: '1', help: 'over all hyperparameters' },
  tested: {
    type: 'string',
    default: '1500',
    help: 'questions that bench:outcomes tests under its first seed, left out here',
  },
})
if (values.table === undefined)
  throw new Error('--table names the folder of <name>.questions.jsonl and <name>.outcomes.csv')

const GRID: Readonly<Record<keyof Hyperparameters, readonly number[]>> = {
  lengthScale: [0.25, 0.3, 0.4, 0.5, 0.6],
  amplitude: [0.7, 1, 1.4, 2],
  sameCell: [0.4, 0.5, 0.6, 0.7],
  otherCell: [0.1, 0.2, 0.3, 0.4],
  peerBias: [0.02, 0.05, 0.1, 0.15],
  strangerBias: [0.02, 0.05, 0.1, 0.15],
  otherModel: [0.15, 0.3, 0.5, 0.7],
  sameFamily: [0.5, 0.6, 0.7, 0.85],
  otherDomain: [0.1, 0.2, 0.3, 0.5],
  sameRoot: [0.6],
}

/** What is alike in more respects is no less alike: otherwise these factors make no covariance. */
function nested(one: Hyperparameters): Hyperparameters {
  const sameCell = Math.max(one.sameCell, one.otherCell)
  const sameFamily = Math.max(one.sameFamily, one.otherModel)
  return { ...one, sameCell, sameFamily, sameRoot: Math.max(one.sameRoot, one.otherDomain) }
}

interface Asked {
  task: string
  outcome: number
  expect(fitted: Readonly<Hyperparameters>): number
}

/** Log loss by task. */
type Losses = Map<string, number[]>

const world = await trainingHalf(values.table, Number(values.tested))
const asked = questionsOf(world)
const tried: { fitted: Readonly<Hyperparameters>; losses: Losses; total: number }[] = []
const shipped = tryOut(FITTED)
let best = shipped
for (let pass = 0; pass < Number(values.passes); pass++) {
  for (const name of Object.keys(GRID) as (keyof Hyperparameters)[]) {
    const seen: string[] = []
    for (const value of GRID[name]) {
      const one = value === best.fitted[name] ? best : tryOut(nested({ ...best.fitted, [name]: value }))
      seen.push(`${value}: ${one.total.toFixed(4)}`)
      if (one.total < best.total) best = one
    }
    console.log(`${name.padEnd(14)} ${seen.join('  ')}`)
  }
}
const tasks = [...shipped.losses.keys()]
const left = tasks.flatMap(task => {
  const without = ({ losses }: (typeof tried)[number]) =>
    mean([...losses].flatMap(([name, those]) => (name === task ? [] : those)))
  const chosen = tried.reduce((a, b) => (without(b) < without(a) ? b : a))
  return chosen.losses.get(task) ?? []
})
const figures = { questions: asked.length, tasks: tasks.length, shipped: shipped.total, best: best.total }
console.log(JSON.stringify({ ...figures, left_out: mean(left), fitted: best.fitted }))

function tryOut(fitted: Readonly<Hyperparameters>) {
  const losses: Losses = new Map()
  for (const { task, outcome, expect } of asked) {
    const those = losses.get(task) ?? []
    those.push(logLoss([expect(fitted)], [outcome]))
    losses.set(task, those)
  }
  const one = { fitted, losses, total: mean([...losses.values()].flat()) }
  tried.push(one)
  return one
}

/** Of one model or of several, with and without domain tags; of peers that are strangers, and once they have proven themselves. */
function questionsOf({ table, questions, ...rest }: World): Asked[] {
  const every = Math.floor(table.models.length / Number(values.models))
  const world = { table, questions, ...rest }
  const all: Asked[] = []
  for (const models of ['same', 'mixed'] as const) {
    for (const tagged of [false, true]) {
      for (let model = 0; model < Number(values.models); model++) {
        const tested = Number(values.asked)
        const each = Math.floor(Math.min(4000, questions.length - tested) / 16)
        const open = { seed: 2, profile: 'open', nodes: 17, own: 0 } as const
        const scenario: Scenario = { ...open, model: model * every, each, tested, tagged, models }
        const dealt = dealOut(world, scenario)
        const { index } = settle(world, scenario, dealt)
        const proven = { ...index, standing: () => 'proven' as const }
        for (const question of dealt.test) {
          const { table: dots, cells } = questions[question] as Prepared
          const near = index.near(dots, cells, MIN_SIMILARITY, MAX_NEIGHBOURS)
          const variant = modelVariant(table.models[scenario.model] as string)
          const query = { model: variant, domain: domainOf(world, question, tagged), prior: 0.5, now: NOW }
          const { task = '', outcomes = [] } = table.questions[question] ?? {}
          for (const held of [index, proven]) {
            all.push({
              task,
              outcome: outcomes[scenario.model] as number,
              expect: fitted => assess(near, { ...query, fitted }, held).opinions.network,
            })
          }
        }
      }
    }
  }
  return all
}

async function trainingHalf(folder: string, tested: number): Promise<World> {
  const { models, questions } = readTable(folder)
  const { train } = deal(questions.length, 1, tested)
  const kept = train.flatMap(i => questions[i] ?? [])
  const prepared = await prepare(
    kept.map(({ text }) => text),
    PROBES,
  )
  return { table: { models, questions: kept }, ...prepared, probes: PROBES }
}
