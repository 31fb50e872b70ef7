/** What the parts of the bench are told. */
import type { Scenario } from './scenario.ts'

export interface BenchOptions {
  quick: boolean
  seeds: readonly number[]
  /** Which of the table's models under a seed: others under another, so that few runs see all of them. */
  modelsOf(seed: number): readonly number[]
  /** Questions tested a model and seed. */
  tested: number
  say(line: string): void
}

const OUTCOMES = 4_000
/** The swarm whose figures stand for all: so many nodes, each with as many outcomes as are left to deal out, at most 4,000. */
const NODES = 16

export function headline({ tested }: BenchOptions, questions: number): Omit<Scenario, 'seed' | 'model'> {
  const each = Math.floor(Math.min(OUTCOMES, questions - tested) / NODES)
  return { nodes: NODES, each, own: each, tested, profile: 'open', tagged: false, models: 'same' }
}

/** For each seed and model. */
export function* runs({ seeds, modelsOf }: BenchOptions): Generator<{ seed: number; model: number }> {
  for (const seed of seeds) for (const model of modelsOf(seed)) yield { seed, model }
}
