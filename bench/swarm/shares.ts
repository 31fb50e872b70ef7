/** How much of all packets a node receives, the more distinct questions it is asked. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Emitted, emit, journalsOf } from './deliveries.ts'
import { mean } from './fit.ts'
import type { Kind, Swarm } from './swarm.ts'

export interface ShareRow {
  /** Distinct questions that each node was asked so far. */
  questions: number
  /** Packets of others so far. */
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
const ARRIVE_MS = 2_000

/** Lets every member be asked ever more, and others give feedback on questions of all kinds in between. */
export async function measureShares(
  swarm: Swarm,
  random: () => number,
  options: { steps: readonly number[]; packets: number; perSecond: number; text: () => string },
): Promise<ShareRow[]> {
  const { steps, packets, perSecond, text } = options
  const emitted: Emitted[] = []
  const rows: ShareRow[] = []
  const authors = swarm.alive().filter(({ kind }) => kind === 'mixed')
  for (const questions of steps) {
    await Promise.all(swarm.alive().map(member => swarm.askUpTo(member, questions)))
    await swarm.settle(SETTLE_MS)
    emitted.push(...(await emit(swarm, random, { packets, perSecond, authors, text })))
    await wait(ARRIVE_MS)
    rows.push({ questions, packets: emitted.length, ...(await sharesOf(swarm, emitted)) })
  }
  return rows
}

async function sharesOf(swarm: Swarm, emitted: readonly Emitted[]): Promise<Record<Kind, KindShare>> {
  const journals = await journalsOf(swarm, swarm.alive())
  const shares: Record<Kind, KindShare[]> = { single: [], mixed: [] }
  for (const [member, journal] of journals) {
    const others = emitted.filter(({ author }) => author !== member)
    const names = new Set(others.map(({ answer }) => answer))
    const left = new Set(journal.leaves.map(({ key }) => key))
    const joined = new Set(journal.joins.map(({ key }) => key))
    const arrived = journal.arrivals.filter(({ answer }) => names.has(answer))
    shares[member.kind].push({
      subscribed: arrived.filter(({ key }) => joined.has(key)).length / others.length,
      held: arrived.length / others.length,
      cells: [...joined].filter(key => !left.has(key)).length,
    })
  }
  const average = (all: KindShare[]): KindShare => ({
    subscribed: mean(all.map(({ subscribed }) => subscribed)),
    held: mean(all.map(({ held }) => held)),
    cells: mean(all.map(({ cells }) => cells)),
  })
  return { single: average(shares.single), mixed: average(shares.mixed) }
}
