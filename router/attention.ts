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
  /** Lets keys be looked at again. */
  forgetVisits(): void
}

/** Keys backfilled once because a question touched them, though they are not joined. */
const MAX_VISITED = 1024
const VISIT_DEADLINE_MS = 15_000

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
  const visited = new Set<RoutingKey>()

  function visit(key: RoutingKey): void {
    if (visited.has(key) || visited.size >= MAX_VISITED) return
    visited.add(key)
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(VISIT_DEADLINE_MS)])
    network.backfill(key, { signal }).catch(error => {
      visited.delete(key)
      logger.debug({ err: error }, 'a visited cell could not be backfilled')
    })
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
    },
    forgetVisits: () => visited.clear(),
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
