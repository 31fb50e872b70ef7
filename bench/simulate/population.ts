/**
 * Who asks what in the simulated swarm, and what each node wants to hear of because of it. The kinds of question are the
 * shipped space's cells, as common as in its 200,000 reference texts; interest is the router's own code.
 */
import { createInterest } from '../../router/interest.ts'
import { createKeyCache } from '../../router/keyspace.ts'
import { CELLS, type Space } from '../../router/space.ts'
import type { Random } from './ids.ts'

export interface PopulationOptions {
  nodes: number
  /** Share of nodes that ask one kind of question. */
  singleShare: number
  /** Median of the questions that a node is asked in a day; they spread log-normally. */
  questionsPerDay: number
  /** Questions of a node that are played, its latest ones. */
  played: number
}

/** The spread of questions a day between nodes: e^1.5, so that one in twenty has twelve times the median. */
const SIGMA = 1.5
const PROBES = 8
export const MAX_JOINED = 24
/** How often a question of a single kind falls into the kind's own cell; else into one of the seven next to it. */
const IN_OWN_CELL = 0.6
const DAY_S = 86_400

export interface Population {
  /** Cells that each node has joined in the end: `MAX_JOINED` places a node, filled up with `NO_CELL`. */
  joined: Uint16Array
  /** Questions a day, by node. */
  questionsPerDay: Float32Array
  /** Joins a day after the first half of what was played, mean over nodes. */
  joinsPerDay: number
  /** Of all questions, by cell. */
  askedShare: Float64Array
  subscribers: Uint32Array
  single: Uint8Array
}

export const NO_CELL = 0xffff

export function drawPopulation(space: Space, random: Random, options: PopulationOptions): Population {
  const { nodes, singleShare, questionsPerDay, played } = options
  const near = neighbours(space)
  const common = cumulative(space.counts[0])
  const keys = createKeyCache(space.id)
  const keyOf = (cell: number) => keys.of('general', cell)
  const cellOf = new Map(Array.from({ length: CELLS }, (_, cell) => [keyOf(cell), cell]))
  const population: Population = {
    joined: new Uint16Array(nodes * MAX_JOINED).fill(NO_CELL),
    questionsPerDay: new Float32Array(nodes),
    joinsPerDay: 0,
    askedShare: new Float64Array(CELLS),
    subscribers: new Uint32Array(CELLS),
    single: new Uint8Array(nodes),
  }

  for (let node = 0; node < nodes; node++) {
    const perDay = questionsPerDay * Math.exp(SIGMA * normal(random))
    population.questionsPerDay[node] = perDay
    const topic = random() < singleShare ? draw(common, random) : undefined
    population.single[node] = topic === undefined ? 0 : 1
    const interest = createInterest({ maxJoined: MAX_JOINED })
    let lateJoins = 0
    for (let question = 0; question < played; question++) {
      const home = topic === undefined ? draw(common, random) : aroundTopic(near, topic, random)
      population.askedShare[home] = (population.askedShare[home] as number) + perDay
      const now = (question * DAY_S) / perDay
      for (let rank = 0; rank < PROBES; rank++) {
        const { join } = interest.touch(keyOf(near[home * PROBES + rank] as number), 1 / (rank + 1), now)
        if (join && question >= played / 2) lateJoins++
      }
    }
    population.joinsPerDay += (lateJoins * perDay) / (played / 2) / nodes
    let place = node * MAX_JOINED
    for (const key of interest.joined) {
      const cell = cellOf.get(key) as number
      population.joined[place++] = cell
      population.subscribers[cell] = (population.subscribers[cell] as number) + 1
    }
  }
  const all = population.askedShare.reduce((sum, share) => sum + share, 0)
  for (let cell = 0; cell < CELLS; cell++) population.askedShare[cell] = (population.askedShare[cell] as number) / all
  return population
}

/** The eight cells whose centres are nearest to each cell's own, itself first: where a question at its centre is probed. */
function neighbours({ cells, dimensions }: Space): Uint16Array {
  const near = new Uint16Array(CELLS * PROBES)
  for (let from = 0; from < CELLS; from++) {
    const away = Array.from({ length: CELLS }, (_, to) => {
      let sum = 0
      for (let d = 0; d < dimensions; d++) {
        sum += ((cells[from * dimensions + d] as number) - (cells[to * dimensions + d] as number)) ** 2
      }
      return { to, sum }
    })
    away.sort((a, b) => a.sum - b.sum)
    for (let rank = 0; rank < PROBES; rank++) near[from * PROBES + rank] = away[rank]?.to as number
  }
  return near
}

function aroundTopic(near: Uint16Array, topic: number, random: Random): number {
  if (random() < IN_OWN_CELL) return topic
  return near[topic * PROBES + 1 + Math.floor(random() * (PROBES - 1))] as number
}

function cumulative(counts: Uint32Array): Float64Array {
  let sum = 0
  return Float64Array.from(counts, count => {
    sum += count
    return sum
  })
}

function draw(sums: Float64Array, random: Random): number {
  const at = random() * (sums.at(-1) as number)
  const cell = sums.findIndex(sum => sum > at)
  return Math.max(0, cell)
}

/** Box and Muller. */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
