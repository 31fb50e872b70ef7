/** Whether packets reach those who want them, how soon, and who else gets them. */
import { setTimeout as wait } from 'node:timers/promises'
import type { RoutingKey } from '../../router/keyspace.ts'
import { type Journal, type Member, type Swarm, wanted } from './swarm.ts'

export interface Emitted {
  author: Member
  answer: string
  text: string
  /** When feedback was given, Unix ms. */
  at: number
}

/** A packet that was handed to somebody. */
export interface Sent extends Emitted {
  key: RoutingKey
}

export interface DeliveryFigures {
  packets: number
  /** Packets that nobody took: where no other node shares the kind of question. */
  unsent: number
  /** Pairs of a packet and a node that wanted it. */
  expected: number
  ratio: number
  /** From feedback to changed headers at another node that was asked the same question. */
  headerMs: number[]
  /** From feedback to acceptance. */
  arrivalMs: number[]
  /** Of pairs of a packet and a node that never asked for its kind. */
  uninterestedShare: number
  /** Of the same pairs: filled once, because a question touched the kind without being of it. */
  visitedShare: number
  /** Copies of a packet on the wire for each acceptance by a node that had joined its kind. */
  copies: number
}

const LOOK_MS = 500

/** Lets random members give feedback on what they were asked, so many a second. */
export async function emit(
  swarm: Swarm,
  random: () => number,
  options: { packets: number; perSecond: number; authors?: readonly Member[]; text?: () => string },
): Promise<Emitted[]> {
  const emitted: Emitted[] = []
  const begun = performance.now()
  for (let at = 0; at < options.packets; at++) {
    const authors = options.authors ?? swarm.alive()
    const author = authors[Math.floor(random() * authors.length)] as Member
    const text = options.text?.() ?? (author.asked[Math.floor(random() * author.asked.length)] as string)
    emitted.push({ author, text, ...(await swarm.learn(author, text)) })
    await wait(Math.max(0, begun + ((at + 1) * 1000) / options.perSecond - performance.now()))
  }
  return emitted
}

/** Of those emitted, the packets that were handed to somebody, by what their authors noted. */
export function sentOf(emitted: readonly Emitted[], journals: ReadonlyMap<Member, Journal>): Sent[] {
  return emitted.flatMap(packet => {
    const noted = journals.get(packet.author)?.sent
    const sent = noted?.find(({ answer, recipients }) => answer === packet.answer && recipients > 0)
    return sent ? [{ ...packet, key: sent.key }] : []
  })
}

export async function journalsOf(swarm: Swarm, members: readonly Member[]): Promise<Map<Member, Journal>> {
  return new Map(await Promise.all(members.map(async member => [member, await swarm.journal(member)] as const)))
}

export interface Delivery {
  expected: number
  arrived: number
  arrivalMs: number[]
}

/** Which of the pairs of a packet and a member that wants it have come true, within `withinMs` of feedback. */
export function delivered(
  sent: readonly Sent[],
  journals: ReadonlyMap<Member, Journal>,
  wants: (journal: Journal, packet: Sent) => boolean,
  withinMs: number,
): Delivery {
  const delivery: Delivery = { expected: 0, arrived: 0, arrivalMs: [] }
  for (const [member, journal] of journals) {
    const arrivedAt = new Map(journal.arrivals.map(({ answer, at }) => [answer, at]))
    for (const packet of sent) {
      if (packet.author === member || !wants(journal, packet)) continue
      delivery.expected++
      const arrived = arrivedAt.get(packet.answer)
      if (arrived === undefined || arrived - packet.at > withinMs) continue
      delivery.arrived++
      delivery.arrivalMs.push(arrived - packet.at)
    }
  }
  return delivery
}

/** Emits, and waits until all who want a packet have it, or the time is up. */
export async function measureDeliveries(
  swarm: Swarm,
  random: () => number,
  options: { packets: number; perSecond: number; withinMs: number; authors?: readonly Member[] },
): Promise<DeliveryFigures> {
  const emitted = await emit(swarm, random, options)
  const deadline = performance.now() + options.withinMs
  const wants = (journal: Journal, { key, at }: Sent) => wanted(journal, key, at)
  for (;;) {
    const journals = await journalsOf(swarm, swarm.alive())
    const sent = sentOf(emitted, journals)
    const { expected, arrived, arrivalMs } = delivered(sent, journals, wants, options.withinMs)
    if (arrived < expected && performance.now() < deadline) {
      await wait(LOOK_MS)
      continue
    }
    return {
      packets: sent.length,
      unsent: emitted.length - sent.length,
      expected,
      ratio: arrived / expected,
      headerMs: headerDelays(sent, journals),
      arrivalMs,
      ...strays(sent, journals),
    }
  }
}

function headerDelays(sent: readonly Sent[], journals: ReadonlyMap<Member, Journal>): number[] {
  return sent.flatMap(({ author, answer, text, at }) =>
    [...journals].flatMap(([member, { changes }]) => {
      const change = member === author ? undefined : changes.find(seen => seen.answer === answer && seen.text === text)
      return change ? [change.at - at] : []
    }),
  )
}

/** Who received what, as seen on the wire. */
function strays(sent: readonly Sent[], journals: ReadonlyMap<Member, Journal>) {
  const count = { unasked: 0, received: 0, visited: 0, copies: 0, joined: 0 }
  for (const [member, journal] of journals) {
    const copies = new Map(journal.copies)
    const joined = new Set(journal.joins.map(({ key }) => key))
    const visits = new Set(journal.visits)
    for (const { author, answer, key } of sent) {
      if (author === member) continue
      const copied = copies.get(answer) ?? 0
      if (joined.has(key)) {
        count.copies += copied
        count.joined += copied > 0 ? 1 : 0
        continue
      }
      count.unasked++
      if (copied === 0) continue
      if (visits.has(key)) count.visited++
      else count.received++
    }
  }
  return {
    // where everybody wants everything nobody can be troubled
    uninterestedShare: count.received / Math.max(1, count.unasked),
    visitedShare: count.visited / Math.max(1, count.unasked),
    copies: count.copies / count.joined,
  }
}
