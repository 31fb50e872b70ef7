/** How much of all packets a node receives, the more distinct questions it is asked. */
import { setTimeout as wait } from 'node:timers/promises'
import type { RoutingKey } from '../../router/keyspace.ts'
import { type Emitted, emit, journalsOf } from './deliveries.ts'
import { mean } from './fit.ts'
import type { Kind, Member, Swarm } from './swarm.ts'

export interface ShareRow {
  /** Distinct questions that each node was asked so far. */
  questions: number
  /** Packets of others since the last row. */
  packets: number
  /** Mean share of them that nodes of a kind hold, and the cells that they joined. */
  single: KindShare
  mixed: KindShare
}

interface KindShare {
  /** Of all packets, those that arrived while their cell was joined, or by filling it after it was. */
  subscribed: number
  /** All that arrived, with those of cells that were filled once because a question touched them. */
  held: number
  cells: number
}

const SETTLE_MS = 15_000
const DEPART_MS = 20_000
const ARRIVE_MS = 2_000
const LOOK_MS = 500

/** Lets members be asked ever more, and others (the authors) give feedback on questions of all kinds in between. */
export async function measureShares(
  swarm: Swarm,
  random: () => number,
  options: {
    authors: readonly Member[]
    steps: readonly number[]
    packets: number
    perSecond: number
    text: () => string
  },
): Promise<ShareRow[]> {
  const { authors, steps, packets, perSecond, text } = options
  let departing = 0
  const rows: ShareRow[] = []
  const asked = swarm.alive().filter(member => !authors.includes(member))
  for (const questions of steps) {
    await Promise.all(asked.map(member => swarm.askUpTo(member, questions)))
    await swarm.settle(SETTLE_MS)
    const emitted = await emit(swarm, random, { packets, perSecond, authors, text })
    departing += packets
    await departed(swarm, authors, departing)
    await wait(ARRIVE_MS)
    rows.push({ questions, packets, ...(await sharesOf(swarm, asked, emitted)) })
  }
  return rows
}

/** Resolves when the authors have tried to hand out so many packets, or the time is up: each waits for those before it. */
async function departed(swarm: Swarm, authors: readonly Member[], packets: number): Promise<void> {
  const deadline = performance.now() + DEPART_MS
  while (performance.now() < deadline) {
    const journals = await journalsOf(swarm, authors)
    const names = [...journals.values()].flatMap(({ sent }) => sent.map(({ answer }) => answer))
    if (new Set(names).size >= packets) return
    await wait(LOOK_MS)
  }
}

async function sharesOf(
  swarm: Swarm,
  asked: readonly Member[],
  emitted: readonly Emitted[],
): Promise<Record<Kind, KindShare>> {
  const journals = await journalsOf(swarm, asked)
  const shares: Record<Kind, KindShare[]> = { single: [], mixed: [] }
  for (const [member, journal] of journals) {
    const names = new Set(emitted.map(({ answer }) => answer))
    const times = (of: { key: RoutingKey }[], wanted: RoutingKey) => of.filter(({ key }) => key === wanted).length
    const joined = new Set(journal.joins.map(({ key }) => key))
    const arrived = journal.arrivals.filter(({ answer }) => names.has(answer))
    shares[member.kind].push({
      subscribed: arrived.filter(({ key }) => joined.has(key)).length / emitted.length,
      held: arrived.length / emitted.length,
      cells: [...joined].filter(key => times(journal.joins, key) > times(journal.leaves, key)).length,
    })
  }
  const average = (all: KindShare[]): KindShare => ({
    subscribed: mean(all.map(({ subscribed }) => subscribed)),
    held: mean(all.map(({ held }) => held)),
    cells: mean(all.map(({ cells }) => cells)),
  })
  return { single: average(shares.single), mixed: average(shares.mixed) }
}
