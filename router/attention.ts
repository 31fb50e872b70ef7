/** Turns the questions asked here into what the network is asked for: keys to join, keys to leave, keys to look at once. */
import { createInterest } from './interest.ts'
import { type KeyCache, type RoutingKey, rootLabel } from './keyspace.ts'
import type { Network } from './network/network.ts'
import type { Logger } from './telemetry.ts'

export interface Attention {
  /** Joins what is wanted whatever is asked; the network is there now. */
  start(): void
  /** Notes a question by its nearest keys, nearest first. Never waits. */
  notice(keys: readonly RoutingKey[]): void
  /** Lets keys be looked at again, and leaves those that nobody has asked about for long. */
  forgetVisits(): void
}

/** Keys backfilled once because a question touched them, though they are not joined. */
const MAX_VISITED = 1024
/** Visits at a time; a question touches eight keys, and each may need a search. */
const MAX_VISITING = 2
const VISIT_DEADLINE_MS = 15_000
/** Seconds for which one visit is enough; for which one that brought nothing is. */
const VISIT_AGAIN_S = 3_600
const VISIT_IN_VAIN_S = 60
/** Of the first questions each makes up a large share: what they joined is looked at again after so many. */
const TIDY_EVERY = 64

export function createAttention(
  components: {
    network: Pick<Network, 'join' | 'leave' | 'backfill'>
    logger: Logger
    /** Unix seconds. */
    now(): number
    stopping: AbortSignal
  },
  options: { maxJoined: number },
): Attention {
  const { network, logger, now, stopping } = components
  const interest = createInterest(options)
  /** Keys that were visited or wait for it, and until when (Unix seconds) that is enough. */
  const visited = new Map<RoutingKey, number>()
  const waiting = new Set<RoutingKey>()
  let visiting = 0
  let questions = 0

  function visit(key: RoutingKey): void {
    if ((visited.get(key) ?? 0) > now()) return
    if (visited.size >= MAX_VISITED && !visited.has(key)) return
    visited.set(key, Number.POSITIVE_INFINITY)
    waiting.add(key)
    visitNext()
  }

  function visitNext(): void {
    for (const key of waiting) {
      if (visiting >= MAX_VISITING || stopping.aborted) return
      waiting.delete(key)
      visiting += 1
      backfill(key)
        .catch(error => logger.debug({ err: error }, 'a visited cell could not be backfilled'))
        .finally(() => {
          visiting -= 1
          visitNext()
        })
    }
  }

  async function backfill(key: RoutingKey): Promise<void> {
    let count = 0
    try {
      const signal = AbortSignal.any([stopping, AbortSignal.timeout(VISIT_DEADLINE_MS)])
      count = await network.backfill(key, { signal })
    } finally {
      // nobody may have been there to ask
      visited.set(key, now() + (count > 0 ? VISIT_AGAIN_S : VISIT_IN_VAIN_S))
    }
  }

  function tidy(): void {
    for (const key of interest.expire(now())) network.leave(key)
  }

  return {
    start() {},
    notice(keys) {
      for (const [rank, key] of keys.entries()) {
        const { join, leave, joined } = interest.touch(key, 1 / (rank + 1), now())
        if (leave) network.leave(leave)
        if (join) network.join(join)
        if (!joined) visit(key)
      }
      questions += 1
      if (questions % TIDY_EVERY === 0) tidy()
    },
    forgetVisits() {
      for (const [key, until] of visited) if (until <= now()) visited.delete(key)
      tidy()
    },
  }
}

const CELLS = 256

/** Every kind of question of some domains is joined once, so that nothing that is asked here shows in what is joined. */
export function createWholeDomains(
  { network, keys }: { network: Pick<Network, 'join'>; keys: KeyCache },
  { domains }: { domains: readonly string[] },
): Attention {
  return {
    start() {
      for (const label of new Set(domains.map(rootLabel))) {
        for (let cell = 0; cell < CELLS; cell++) network.join(keys.of(label, cell))
      }
    },
    notice() {},
    forgetVisits() {},
  }
}
