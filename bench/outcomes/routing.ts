/** Which model to ask: by what is expected of each, beside always the same, chance, the topic's best, and an oracle. */
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { modelSize } from '../../router/synthesis/base-rates.ts'
import { mean } from './figures.ts'
import { type BenchOptions, headline } from './options.ts'
import type { Prepared } from './prepare.ts'
import { dealOut, domainOf, type Scenario, settle, spoken, type World } from './scenario.ts'

export interface RoutingResult {
  /** Share of questions answered well, by how the model was chosen; `auto` at no price. */
  routing: {
    best_single: number
    random: number
    /** The model that was best in the table's own category of the question; NaN where the table has none. */
    category: number
    auto: number
    auto_tagged: number
    oracle: number
    /** Expected outcome minus dial times price, the dearest model's being 1: share answered well, and mean price. */
    by_price: { dial: number; right: number; price: number }[]
  }
}

const DIALS = [0, 0.05, 0.1, 0.2, 0.5]

export function measureRouting(world: World, options: BenchOptions): RoutingResult {
  const { table } = world
  const names = table.models.map(name => modelVariant(name))
  const sizes = names.map(name => modelSize(name))
  const largest = Math.max(1, ...sizes.flatMap(size => size ?? []))
  // Models whose names tell no size cost as much as half the largest.
  const prices = sizes.map(size => (size ?? largest / 2) / largest)
  const right: Record<string, number[]> = {}
  const spent: number[][] = DIALS.map(() => [])
  const note = (way: string, outcome: number) => {
    right[way] ??= []
    if (Number.isFinite(outcome)) right[way].push(outcome)
  }

  for (const seed of options.seeds) {
    const random = seededRandom(seed)
    const common: Scenario = { ...headline(options, table.questions.length), models: 'mixed', own: 0, seed, model: 0 }
    const outcomes = (question: number) => table.questions[question]?.outcomes ?? []
    const dealt = dealOut(world, common)
    const train = dealt.peers.map(({ question }) => question)
    const single = best(
      names.map((_, model) => mean(train.map(i => outcomes(i)[model] as number).filter(Number.isFinite))),
    )
    const byTask = new Map<string, number>()
    for (const task of new Set(table.questions.map(({ task }) => task))) {
      const inTask = train.filter(i => table.questions[i]?.task === task)
      if (inTask.length > 0)
        byTask.set(task, best(names.map((_, m) => mean(inTask.map(i => outcomes(i)[m] as number)))))
    }
    for (const tagged of [false, true]) {
      const scenario = { ...common, tagged }
      const site = settle(world, scenario, dealt, spoken(world, scenario, dealt))
      for (const question of dealt.test) {
        const came = outcomes(question)
        const domain = domainOf(world, question, tagged)
        // Everyone's opinion: the bound on the network is for what this site tells its clients, not for whom it asks.
        const expected = names.map(name => site.opinions(world.questions[question] as Prepared, name, domain).network)
        if (tagged) {
          note('auto_tagged', came[best(expected)] as number)
          continue
        }
        note('best_single', came[single] as number)
        note('random', came[Math.floor(random() * names.length)] as number)
        note('category', came[byTask.get(table.questions[question]?.task ?? '') ?? single] as number)
        note('oracle', Math.max(...came.filter(Number.isFinite)))
        for (const [i, dial] of DIALS.entries()) {
          const chosen = best(expected.map((value, model) => value - dial * (prices[model] as number)))
          note(`auto ${dial}`, came[chosen] as number)
          spent[i]?.push(prices[chosen] as number)
        }
      }
    }
  }
  const share = (way: string) => mean(right[way] ?? [])
  const routing = {
    best_single: share('best_single'),
    random: share('random'),
    category: share('category'),
    auto: share('auto 0'),
    auto_tagged: share('auto_tagged'),
    oracle: share('oracle'),
    by_price: DIALS.map((dial, i) => ({ dial, right: share(`auto ${dial}`), price: mean(spent[i] ?? []) })),
  }
  options.say(`routing ${JSON.stringify(routing)}`)
  return { routing }
}

function best(values: readonly number[]): number {
  return values.indexOf(Math.max(...values.filter(Number.isFinite)))
}
