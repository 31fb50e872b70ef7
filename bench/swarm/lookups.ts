/** What it costs to find in the DHT who shares a kind of question, and to announce one. */
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'
import type { Lookup } from './counters.ts'
import type { Member, Swarm } from './swarm.ts'

export interface LookupFigures {
  lookups: number
  /** Of those whose one holder was found. */
  foundShare: number
  rpcs: number[]
  hops: number[]
  ms: number[]
  /** Until the holder was known. */
  firstMs: number[]
  /** Of requests. */
  failedShare: number
  /** Of those that were not done within 15 s. */
  lateShare: number
  announceMs: number[]
  /** Messages that told a holder of records about one key. */
  announcementsPerKey: number
}

/** Of an announcement and of a look-up. */
const DEADLINE_MS = 15_000
/** No space has this id, so that nothing else meets under these keys. */
const NO_SPACE = '00000000'

/** Announces so many keys, each by one member, and looks for each from another, one after the other. */
export async function measureLookups(
  swarm: Swarm,
  random: () => number,
  options: { count: number; round: string },
): Promise<LookupFigures> {
  const { count, round } = options
  const members = swarm.alive()
  const anyOf = (from: readonly Member[]) => from[Math.floor(random() * from.length)] as Member
  const told = async () => {
    const accounts = await Promise.all(members.map(swarm.account))
    return accounts.reduce((sum, { rpcs }) => sum + (rpcs.ADD_PROVIDER ?? 0), 0)
  }

  const before = await told()
  const announceMs: number[] = []
  const announced: { key: RoutingKey; holder: Member }[] = []
  for (let at = 0; at < count; at++) {
    const holder = anyOf(members)
    const key = routingKey(NO_SPACE, round, at)
    const { ms } = await holder.process.call('announce', { node: holder.node, key, deadlineMs: DEADLINE_MS })
    announced.push({ key, holder })
    announceMs.push(ms)
  }
  const announcements = (await told()) - before

  const done: Lookup[] = []
  for (const { key, holder } of announced) {
    const seeker = anyOf(members.filter(member => member !== holder))
    done.push(await seeker.process.call('lookup', { node: seeker.node, key, deadlineMs: DEADLINE_MS }))
  }
  const sum = (of: (lookup: Lookup) => number) => done.reduce((total, lookup) => total + of(lookup), 0)
  return {
    lookups: count,
    foundShare: sum(({ found }) => (found > 0 ? 1 : 0)) / count,
    rpcs: done.map(({ rpcs }) => rpcs),
    hops: done.map(({ hops }) => hops),
    ms: done.map(({ ms }) => ms),
    firstMs: done.flatMap(({ firstMs }) => firstMs ?? []),
    failedShare: sum(({ failed }) => failed) / sum(({ rpcs }) => rpcs),
    lateShare: sum(({ late }) => (late ? 1 : 0)) / count,
    announceMs,
    announcementsPerKey: announcements / count,
  }
}
