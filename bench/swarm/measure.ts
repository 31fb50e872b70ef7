/** The phases of the measurement, each on a swarm of its own, within the time that there is. */
import { type ChurnFigures, measureChurn, measureSilence, type SilentFigures } from './churn.ts'
import { type DeliveryFigures, measureDeliveries } from './deliveries.ts'
import { expectedShares } from './expected.ts'
import { type IdleFigures, measureIdleSidecar, watch } from './idle.ts'
import { type LookupFigures, measureLookups } from './lookups.ts'
import type { Questions } from './questions.ts'
import { measureShares, type ShareRow } from './shares.ts'
import { createSwarm, type Swarm } from './swarm.ts'

export interface Plan {
  /** Sizes of the swarms, in nodes. */
  sizes: readonly number[]
  /** So many nodes are asked something; the others only keep records. All when fewer. */
  askers: number
  /** Distinct questions that each of them is asked. */
  questions: number
  lookups: number
  packets: number
  /** Feedback a second, of all nodes together. */
  perSecond: number
  /** A packet that takes longer was not delivered. */
  withinMs: number
  /** Beside the nodes that are asked, so many that only give feedback. */
  shares: { nodes: number; authors: number; steps: readonly number[]; packets: number } | undefined
  churn:
    | { stable: number; silent: number; mortal: number; replacements: number; seconds: number; lookups: number }
    | undefined
  idleSeconds: number
}

export interface SizeRow {
  n: number
  /** Until nobody announced or looked for anything any more. */
  settleMs: number
  lookups: LookupFigures
  deliveries: DeliveryFigures
  /** Per node, while packets were delivered. */
  bytesPerPacket: number
  cpuPct: number
  /** Per node, of processes that hold several. */
  rssMb: number
  /** DHT requests sent so far, per node. */
  rpcs: number
  records: number
}

export interface IdleRow {
  sidecar: IdleFigures
  /** Router, embedder and network alone, without HTTP. */
  bare: IdleFigures
}

/** All nodes of a swarm begin at once on one machine: 24 that announce 24 cells each keep two cores busy for minutes. */
const SETTLE_MS = 600_000

const perProcess = (nodes: number) => Math.max(2, Math.min(16, nodes >> 1))
/** At least two nodes share each single kind of question. */
const topicsFor = (nodes: number) => Math.max(1, nodes >> 2)

export async function measureSize(questions: Questions, n: number, plan: Plan): Promise<SizeRow> {
  const { random } = questions
  const askers = Math.min(n, plan.askers)
  await using swarm = createSwarm(questions, { topics: topicsFor(askers) })
  await swarm.grow(n, perProcess(n))
  const members = swarm.alive()
  // over all processes alike: those of one share a thread
  const asked = members.filter((_, at) => Math.floor((at * askers) / n) !== Math.floor(((at - 1) * askers) / n))
  await Promise.all(asked.map(member => swarm.askUpTo(member, plan.questions)))
  const settleMs = await swarm.settle(SETTLE_MS)
  const lookups = await measureLookups(swarm, random, { count: plan.lookups, round: `size-${n}` })

  const before = await totals(swarm)
  const deliveries = await measureDeliveries(swarm, random, { ...plan, authors: asked })
  const after = await totals(swarm)
  return {
    n,
    settleMs,
    lookups,
    deliveries,
    bytesPerPacket: (after.bytes - before.bytes) / n / (deliveries.packets + deliveries.unsent),
    cpuPct: (100 * (after.cpuMs - before.cpuMs)) / n / (after.at - before.at),
    rssMb: after.rssMb / n,
    rpcs: after.rpcs / n,
    records: after.records / n,
  }
}

async function totals(swarm: Swarm) {
  const [accounts, usages] = await Promise.all([Promise.all(swarm.alive().map(swarm.account)), swarm.usages()])
  const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0)
  return {
    at: performance.now(),
    // what one sends another receives
    bytes: sum(accounts, ({ bytesIn }) => bytesIn),
    records: sum(accounts, ({ records }) => records),
    rpcs: sum(accounts, ({ rpcs }) => sum(Object.values(rpcs), count => count)),
    cpuMs: sum(usages, ({ cpuMs }) => cpuMs),
    rssMb: sum(usages, ({ rssMb }) => rssMb),
  }
}

export interface ReceivedRow extends ShareRow {
  /** Of all packets, what a node with a single kind of question is to be sent: mean over all kinds, computed. */
  allKinds: number
}

export async function measureReceived(questions: Questions, plan: Plan): Promise<ReceivedRow[]> {
  if (!plan.shares) return []
  const { nodes, authors: authorCount, steps, packets } = plan.shares
  await using swarm = createSwarm(questions, { topics: nodes >> 1 })
  await swarm.grow(nodes, perProcess(nodes))
  const authors = await swarm.grow(authorCount, authorCount)
  const { perSecond } = plan
  const rows = await measureShares(swarm, questions.random, { authors, steps, packets, perSecond, text: questions.any })
  const expected = await expectedShares(questions.topics, steps)
  return rows.map((row, at) => ({ ...row, allKinds: expected[at] ?? Number.NaN }))
}

export async function measureUnrest(
  questions: Questions,
  plan: Plan,
): Promise<{ churn: ChurnFigures; silent: SilentFigures } | undefined> {
  if (!plan.churn) return undefined
  const { random } = questions
  const { stable, silent: silentCount, mortal: mortalCount, replacements, seconds } = plan.churn
  await using swarm = createSwarm(questions, { topics: topicsFor(stable + silentCount + mortalCount) })
  await swarm.grow(stable, perProcess(stable))
  const silent = await swarm.grow(silentCount, silentCount)
  const mortal = await swarm.grow(mortalCount, 1)
  await Promise.all(swarm.alive().map(member => swarm.askUpTo(member, plan.questions)))
  await swarm.settle(SETTLE_MS)
  const { withinMs } = plan
  const { lookups } = plan.churn
  const churn = await measureChurn(swarm, random, {
    mortal: [...mortal],
    replacements,
    seconds,
    perSecond: 2,
    withinMs,
    lookups,
  })
  const quiet = await measureSilence(swarm, random, { silent, packets: plan.packets, perSecond: 4, withinMs, lookups })
  return { churn, silent: quiet }
}

export async function measureIdle(questions: Questions, plan: Plan): Promise<IdleRow> {
  await using swarm = createSwarm(questions, { topics: 1 })
  await swarm.grow(4, 4)
  const [lonely] = await swarm.grow(1, 1)
  const bootstrap = swarm.alive().map(({ address }) => address)
  const [sidecar, bare] = await Promise.all([
    measureIdleSidecar(bootstrap, plan.idleSeconds),
    watch(lonely?.process.pid ?? 0, plan.idleSeconds),
  ])
  return { sidecar, bare }
}

/** Of all packets, what nodes of a kind received in the last step; NaN when nothing was measured. */
export function lastShare(rows: readonly ShareRow[], kind: 'single' | 'mixed'): number {
  return rows.at(-1)?.[kind].held ?? Number.NaN
}
