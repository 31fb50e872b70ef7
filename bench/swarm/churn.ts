/** Whether packets arrive while nodes die and others come, and while some are there but say nothing. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Delivery, delivered, type Emitted, emit, journalsOf, type Sent, sentOf } from './deliveries.ts'
import { type LookupFigures, measureLookups } from './lookups.ts'
import { type Journal, type Member, type Swarm, wanted } from './swarm.ts'

export interface ChurnFigures {
  seconds: number
  replaced: number
  packets: number
  /** Pairs of a packet and a node that wants it in the end, whenever it came. */
  expected: number
  ratio: number
  /** The same of the nodes that were there all the time. */
  steadyRatio: number
  arrivalMs: number[]
  lookups: LookupFigures
}

export interface SilentFigures {
  silent: number
  packets: number
  expected: number
  ratio: number
  arrivalMs: number[]
  lookups: LookupFigures
  /** Of the pairs of a packet and a node that was silent and wanted it, those that came true after it woke. */
  caughtUp: number
}

const LOOK_MS = 1_000
/** A newcomer has found its cells by then. */
const SETTLE_MS = 15_000

/**
 * Replaces so many of the members that have a process of their own, one after the other, every other one by a sudden
 * death. Newcomers are asked what those whom they replace were asked, so that they want the packets from before their time.
 */
export async function measureChurn(
  swarm: Swarm,
  random: () => number,
  options: {
    mortal: Member[]
    replacements: number
    seconds: number
    perSecond: number
    withinMs: number
    lookups: number
  },
): Promise<ChurnFigures> {
  const { mortal, replacements, seconds, perSecond, withinMs } = options
  const gone = new Map<Member, Journal>()
  const emitted: Emitted[] = []
  const leaving = new Set(mortal)
  const before = new Set(swarm.alive())
  const pause = (1000 * seconds) / (replacements + 1)
  let over = false

  async function replaceSome(): Promise<void> {
    for (let count = 0; count < replacements; count++) {
      await wait(pause)
      const [member] = mortal.splice(Math.floor(random() * mortal.length), 1)
      if (!member) break
      gone.set(member, await swarm.journal(member))
      await swarm.remove(member, count % 2 === 0)
      const newcomer = await swarm.replace(member)
      await swarm.askUpTo(newcomer, member.asked.length)
    }
    await wait(pause)
    over = true
  }

  async function emitUntilOver(): Promise<void> {
    // one that is about to go would take what it has not handed out yet with it
    while (!over) {
      const authors = swarm.alive().filter(member => !leaving.has(member) && member.asked.length > 0)
      emitted.push(...(await emit(swarm, random, { packets: 1, perSecond, authors })))
    }
  }

  await Promise.all([replaceSome(), emitUntilOver()])
  const outcome = await untilDelivered(swarm, emitted, gone, withinMs)
  const steady = swarm.alive().filter(member => before.has(member))
  const { ratio: steadyRatio } = await untilDelivered(swarm, emitted, gone, 0, steady)
  const lookups = await measureLookups(swarm, random, { count: options.lookups, round: 'churn' })
  return { seconds, replaced: gone.size, ...outcome, steadyRatio, lookups }
}

/** Freezes processes: their kernel still takes connections, and nobody answers. */
export async function measureSilence(
  swarm: Swarm,
  random: () => number,
  options: { silent: Member[]; packets: number; perSecond: number; withinMs: number; lookups: number },
): Promise<SilentFigures> {
  const { silent, packets, perSecond, withinMs } = options
  for (const member of silent) {
    member.process.freeze()
    member.alive = false
  }
  const emitted = await emit(swarm, random, { packets, perSecond })
  const outcome = await untilDelivered(swarm, emitted, new Map(), withinMs)
  const lookups = await measureLookups(swarm, random, { count: options.lookups, round: 'silent' })
  const speakers = swarm.alive()
  for (const member of silent) {
    member.process.thaw()
    member.alive = true
  }
  const all = await untilDelivered(swarm, emitted, new Map(), withinMs)
  const late = await untilDelivered(swarm, emitted, new Map(), 0, speakers)
  return {
    silent: silent.length,
    ...outcome,
    lookups,
    caughtUp: (all.arrived - late.arrived) / (all.expected - late.expected),
  }
}

/** Waits until everyone alive (or `of` them) holds what it wants, whenever it was emitted, or the time is up. */
async function untilDelivered(
  swarm: Swarm,
  emitted: readonly Emitted[],
  gone: ReadonlyMap<Member, Journal>,
  withinMs: number,
  of?: readonly Member[],
): Promise<Delivery & { packets: number; ratio: number }> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const journals = await journalsOf(swarm, of ?? swarm.alive())
    const end = performance.timeOrigin + performance.now()
    const sent = sentOf(emitted, new Map([...gone, ...journals]))
    const wants = (journal: Journal, { key }: Sent) => wanted(journal, key, end, SETTLE_MS)
    const { expected, arrived, arrivalMs } = delivered(sent, journals, wants, Number.POSITIVE_INFINITY)
    if (arrived >= expected || performance.now() >= deadline) {
      return { packets: sent.length, expected, arrived, ratio: arrived / expected, arrivalMs }
    }
    await wait(LOOK_MS)
  }
}
