/** Who saw what: the questions of a table dealt out to one site, its peers, and the test; and what peers make of theirs. */
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { type ProfileName, profiles } from '../../router/disclosure.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { type Epsilon, randomised } from '../../router/randomised-response.ts'
import type { Space } from '../../router/space.ts'
import { disclosedCode, type Prepared } from './prepare.ts'
import { createSite, type Said, type Site } from './site.ts'
import { deal, type OutcomeTable } from './table.ts'

export const attacks = ['good', 'bad', 'inverted', 'target', 'flood', 'camouflage', 'rotating'] as const
export type Attack = (typeof attacks)[number]

export interface World {
  table: OutcomeTable
  space: Space
  questions: readonly Prepared[]
  probes: number
}

export interface Scenario {
  seed: number
  /** Which of the table's models this site serves. */
  model: number
  /** Nodes, this site among them, and outcomes of each peer. */
  nodes: number
  each: number
  /** Outcomes of this site's own. */
  own: number
  /** Questions nobody has seen. */
  tested: number
  profile: ProfileName
  /** Whether the task's name is sent as the domain tag. */
  tagged: boolean
  /** `same`: all peers serve this site's model; `mixed`: one after another of the table's. */
  models: 'same' | 'mixed'
  /** Outcomes go to other questions of the model. */
  shuffled?: boolean
  liars?: number
  attack?: Attack
}

export interface Heard {
  question: number
  model: number
  node: number
  signal: number
}

export interface Dealt {
  test: number[]
  own: Heard[]
  peers: Heard[]
}

/** Peers' outcomes come in any order, as from a network. */
export function dealOut({ table }: World, scenario: Scenario): Dealt {
  const { seed, model, nodes, each, own, tested, models, shuffled } = scenario
  const { test, train } = deal(table.questions.length, seed, tested)
  const random = seededRandom(seed * 1009 + model)
  const asked = train.filter(i => Number.isFinite(table.questions[i]?.outcomes[model]))
  const outcome = (question: number, of: number) => {
    const seen = shuffled ? (train[Math.floor(random() * train.length)] as number) : question
    return table.questions[seen]?.outcomes[of] ?? Number.NaN
  }
  const heard = (question: number, node: number): Heard => {
    const of = models === 'mixed' && node > 0 ? (model + node) % table.models.length : model
    return { question, node, model: of, signal: outcome(question, of) }
  }
  const at = (i: number) => asked[i % asked.length] as number
  const mine = Array.from({ length: own }, (_, i) => heard(at(i), 0))
  const peers = Array.from({ length: (nodes - 1) * each }, (_, i) => heard(at(own + i), 1 + (i % (nodes - 1))))
  const known = ({ signal }: Heard) => Number.isFinite(signal)
  return {
    test: test.filter(i => Number.isFinite(table.questions[i]?.outcomes[model])),
    own: mine.filter(known),
    peers: peers.filter(known),
  }
}

export function domainOf({ table }: World, question: number, tagged: boolean): string {
  const task = table.questions[question]?.task ?? ''
  if (!tagged || task === '') return 'general'
  return (
    task
      .toLowerCase()
      .replace(/[^a-z0-9._-]/g, '-')
      .replace(/^[^a-z0-9]+/, '')
      .slice(0, 32) || 'general'
  )
}

/** What leaves a peer: coarse and noisy as its profile has it; a liar's is what its attack makes of it. */
export function spoken(world: World, scenario: Scenario, { peers }: Dealt): Said[] {
  const { liars = 0, attack = 'inverted', nodes, tagged } = scenario
  const profile = profiles[scenario.profile]
  const epsilon: Epsilon | undefined = 'epsilon' in profile ? profile.epsilon : undefined
  const random = seededRandom(scenario.seed * 7919 + scenario.model)
  const lying = Math.round(liars * (nodes - 1))
  const sent = new Map<number, number>()
  let keys = 0
  return peers.flatMap(({ question, node, model, signal }) => {
    const code = disclosedCode(world.space, profile, (world.questions[question] as Prepared).code)
    if (code === undefined) return []
    const nth = sent.get(node) ?? 0
    sent.set(node, nth + 1)
    const lies = node <= lying
    const told = lies ? lie(attack, signal, code, nth, scenario.each) : signal
    const said: Said = {
      code,
      model: modelVariant(world.table.models[model] as string),
      domain: domainOf(world, question, tagged),
      signal: epsilon === undefined ? told : randomised(told, epsilon, random()),
      epsilon,
      author: lies && attack === 'rotating' ? `key-${keys++ % 1000}` : `peer-${node}`,
    }
    return lies && attack === 'flood' ? Array<Said>(10).fill(said) : [said]
  })
}

function lie(attack: Attack, signal: number, code: string, nth: number, each: number): number {
  if (attack === 'good') return 1
  if (attack === 'bad' || attack === 'flood' || attack === 'rotating') return 0
  // An eighth of the cells is slandered; of the rest the truth is told.
  if (attack === 'target') return Number.parseInt(code.slice(0, 2), 16) % 8 === 0 ? 0 : signal
  if (attack === 'camouflage' && nth < each / 2) return signal
  return 1 - signal
}

/** A site that has heard its peers, and then seen its own outcomes one by one. */
export function settle(world: World, scenario: Scenario, dealt: Dealt, said = spoken(world, scenario, dealt)): Site {
  const site = createSite(world.space, world.probes)
  for (const one of said) site.hear(one)
  for (const { question, model, signal } of dealt.own) {
    site.learn({
      code: (world.questions[question] as Prepared).code,
      model: modelVariant(world.table.models[model] as string),
      domain: domainOf(world, question, scenario.tagged),
      signal,
    })
  }
  return site
}
