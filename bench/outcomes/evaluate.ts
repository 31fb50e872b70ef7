/** One scenario played and asked: what each way of knowing expected of each unseen question, and what came. */
import { modelVariant } from '../../router/model-variant.ts'
import { type Figures, figuresOf, mean } from './figures.ts'
import type { Prepared } from './prepare.ts'
import { centralPool, type Pooled, referenceRule } from './rivals.ts'
import { type Dealt, dealOut, domainOf, type Heard, type Scenario, settle, type World } from './scenario.ts'
import type { Site } from './site.ts'

export type Method = 'local' | 'swarm' | 'seed' | 'central'

export interface Evaluation {
  figures: Partial<Record<Method, Figures>>
  /** Share of all packets that lay in the cells which a question reads. */
  read: number
}

export interface Extras {
  seedRule?: boolean
  central?: boolean
}

/** The model's own average, over all questions that are not tested: the base rate that skill is measured against. */
export function averageOf({ table }: World, model: number, test: readonly number[]): number {
  const tested = new Set(test)
  const rest = table.questions.flatMap(({ outcomes }, i) => {
    const outcome = outcomes[model] as number
    return tested.has(i) || !Number.isFinite(outcome) ? [] : [outcome]
  })
  return mean(rest)
}

export function evaluate(world: World, scenario: Scenario, extras: Extras = {}): Evaluation {
  const dealt = dealOut(world, scenario)
  return judge(world, scenario, dealt, settle(world, scenario, dealt), extras)
}

export function judge(
  world: World,
  scenario: Scenario,
  dealt: Dealt,
  site: Pick<Site, 'ask'>,
  extras: Extras = {},
): Evaluation {
  const { model, tagged } = scenario
  const name = modelVariant(world.table.models[model] as string)
  const base = averageOf(world, model, dealt.test)
  const outcomes = dealt.test.map(question => world.table.questions[question]?.outcomes[model] as number)
  const asked = dealt.test.map(question => ({
    question: world.questions[question] as Prepared,
    domain: domainOf(world, question, tagged),
  }))
  const figures: Evaluation['figures'] = {}
  const add = (method: Method, expect: (question: Prepared, domain: string) => number) => {
    const expected = asked.map(({ question, domain }) => expect(question, domain))
    figures[method] = figuresOf({ expected, outcomes, base })
  }
  const told = asked.map(({ question, domain }) => site.ask(question, name, domain))
  figures.swarm = figuresOf({ expected: told.map(({ confidence }) => confidence), outcomes, base })
  const local = told.map(({ confidence, adjustment }) => confidence - adjustment)
  figures.local = figuresOf({ expected: local, outcomes, base })

  const pool = (heard: readonly Heard[]): Pooled[] =>
    heard.map(({ question, signal }) => ({
      question: world.questions[question] as Prepared,
      domain: domainOf(world, question, tagged),
      signal,
    }))
  const sameModel = dealt.peers.filter(heard => heard.model === model)
  if (extras.seedRule) add('seed', referenceRule(pool([...sameModel, ...dealt.own]), 3))
  if (extras.central) add('central', centralPool(pool([...sameModel, ...dealt.own])))
  return { figures, read: readShare(world, dealt) }
}

function readShare({ questions }: World, { test, peers }: Dealt): number {
  const perCell = new Float64Array(256)
  for (const { question } of peers) {
    const cell = Number.parseInt((questions[question] as Prepared).code.slice(0, 2), 16)
    perCell[cell] = (perCell[cell] as number) + 1
  }
  const read = test.map(question => {
    const { cells } = questions[question] as Prepared
    return cells.reduce((sum, cell) => sum + (perCell[cell] as number), 0)
  })
  return mean(read) / Math.max(1, peers.length)
}
