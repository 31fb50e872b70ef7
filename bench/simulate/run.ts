/** One simulated size with the assumptions that hold unless told otherwise. */
import { join } from 'node:path'
import { seededRandom } from '../../embeddings/train/corpus.ts'
import { loadSpace } from '../../router/space.ts'
import { type Simulated, type SimulationOptions, simulate } from './simulation.ts'

const SPACE = join(import.meta.dirname, '../../embeddings/spaces/sense-1')

/** What nobody has measured yet: how such a swarm would be used, and how far apart its nodes are. */
export const ASSUMED = {
  lookups: 400,
  singleShare: 0.5,
  questionsPerDay: 100,
  played: 48,
  feedbackShare: 0.02,
  roundTripMs: 60,
  serviceMs: 1,
} as const

export async function runSimulation(
  nodes: number,
  options: { seed: number } & Partial<Omit<SimulationOptions, 'nodes' | 'random' | 'seed'>>,
): Promise<Simulated> {
  const random = seededRandom(options.seed)
  return simulate(await loadSpace(SPACE), { ...ASSUMED, ...options, nodes, random })
}
