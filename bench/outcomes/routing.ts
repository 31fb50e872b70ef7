/** Which model to ask: by what is expected of each, beside always the same, chance, the topic's best, and an oracle. */
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { modelSize } from '../../router/synthesis/base-rates.ts'
import { mean } from './figures.ts'
import { type BenchOptions, headline } from './options.ts'
import type { Prepared } from './prepare.ts'
import { dealOut, domainOf, type Heard, type Scenario, settle, spoken, type World } from './scenario.ts'

export interface RoutingResult {
  /** Share of questions answered well, by how the model was chosen; `auto` at no price. */
  routing: {
    best_single: number
    random: number
    /**
     * The model that was best in the table's own category of the question, by every model's outcome of every question that
     * peers saw; and by the packets alone, which have one model's of each.
     */
    category: number
    category_heard: number
    auto: number
    auto_tagged: number
    /** What `auto` would be if models were compared by what clients are told, which is held near this site's own estimate. */
    told: number
    told_tagged: number
    oracle: number
    /** Expected outcome minus dial times price, the dearest model's being 1. */
    by_price: {
      dial: number
      /** The model that comes out best by its average in the packets. */
      single: Bought
      auto: Bought
      auto_tagged: Bought
    }[]
  }
}

/** Share answered well, and mean price. */
interface Bought {
  right: number
  price: number
}

const DIALS = [0, 0.05, 0.1, 0.2, 0.5]

export function measureRouting(world: World, options: BenchOptions): RoutingResult {
  const { table } = world
  const names = table.models.map(name => modelVariant(name))
  // Of whole names: what packets call a model may have lost its size.
  const sizes = table.models.map(name => modelSize(name))
  const largest = Math.max(1, ...sizes.flatMap(size => size ?? []))
  // Models whose names tell no size cost as much as half the largest.
  const prices = sizes.map(size => (size ?? largest / 2) / largest)
  const right: Record<string, number[]> = {}
  const spent: Record<string, number[]> = {}
  const note = (way: string, outcome: number, price = Number.NaN) => {
    right[way] ??= []
    spent[way] ??= []
    if (Number.isFinite(outcome)) right[way].push(outcome)
    spent[way].push(price)
  }

  for (const seed of options.seeds) {
    const random = seededRandom(seed)
    const common: Scenario = { ...headline(options, table.questions.length), models: 'mixed', own: 0, seed, model: 0 }
    const outcomes = (question: number) => table.questions[question]?.outcomes ?? []
    const taskOf = (question: number) => table.questions[question]?.task ?? ''
    const dealt = dealOut(world, common)
    const averages = (heard: readonly Heard[]) =>
      names.map((_, model) => mean(heard.filter(one => one.model === model).map(({ signal }) => signal)))
    const heard = averages(dealt.peers)
    const [byTask, byTaskHeard] = [new Map<string, number>(), new Map<string, number>()]
    for (const task of new Set(table.questions.map(({ task }) => task))) {
      const inTask = dealt.peers.filter(({ question }) => taskOf(question) === task)
      if (inTask.length === 0) continue
      byTask.set(task, best(names.map((_, m) => mean(inTask.map(({ question }) => outcomes(question)[m] as number)))))
      byTaskHeard.set(task, best(averages(inTask)))
    }
    for (const tagged of [false, true]) {
      const tag = tagged ? '_tagged' : ''
      const scenario = { ...common, tagged }
      const site = settle(world, scenario, dealt, spoken(world, scenario, dealt))
      for (const question of dealt.test) {
        const came = outcomes(question)
        const domain = domainOf(world, question, tagged)
        const known = names.map(name => site.ask(world.questions[question] as Prepared, name, domain))
        const buy = (way: string, dial: number, expected: readonly number[]) => {
          const chosen = best(expected.map((value, model) => value - dial * (prices[model] as number)))
          note(`${way} ${dial}`, came[chosen] as number, prices[chosen])
        }
        const expected = known.map(({ prospect }) => prospect.expected)
        for (const dial of DIALS) buy(`auto${tag}`, dial, expected)
        buy(
          `told${tag}`,
          0,
          known.map(({ confidence }) => confidence),
        )
        if (tagged) continue
        for (const dial of DIALS) buy('single', dial, heard)
        note('random', came[Math.floor(random() * names.length)] as number)
        note('category', came[byTask.get(taskOf(question)) ?? best(heard)] as number)
        note('category_heard', came[byTaskHeard.get(taskOf(question)) ?? best(heard)] as number)
        note('oracle', Math.max(...came.filter(Number.isFinite)))
      }
    }
  }
  const share = (way: string) => mean(right[way] ?? [])
  const bought = (way: string) => ({ right: share(way), price: mean(spent[way] ?? []) })
  const routing = {
    best_single: share('single 0'),
    random: share('random'),
    category: share('category'),
    category_heard: share('category_heard'),
    auto: share('auto 0'),
    auto_tagged: share('auto_tagged 0'),
    told: share('told 0'),
    told_tagged: share('told_tagged 0'),
    oracle: share('oracle'),
    by_price: DIALS.map(dial => ({
      dial,
      single: bought(`single ${dial}`),
      auto: bought(`auto ${dial}`),
      auto_tagged: bought(`auto_tagged ${dial}`),
    })),
  }
  options.say(`routing ${JSON.stringify(routing)}`)
  return { routing }
}

function best(values: readonly number[]): number {
  return values.indexOf(Math.max(...values.filter(Number.isFinite)))
}
