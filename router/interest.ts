/** Which kinds of question this node wants packets for: the few it was asked most of late, so that traffic stays bounded. */
import type { RoutingKey } from './keyspace.ts'

export interface Interest {
  /** Notes `mass` more of `key`; returns what to join and leave now, and whether the key is new to us. */
  touch(key: RoutingKey, mass: number, now: number): { join?: RoutingKey; leave?: RoutingKey; joined: boolean }
  /** Forgets what was asked about too long ago; returns what to leave for it. */
  expire(now: number): RoutingKey[]
  readonly joined: ReadonlySet<RoutingKey>
}

export interface InterestOptions {
  /** How many keys may be joined at a time. @default 24 */
  maxJoined?: number
  /** How many keys' mass is remembered. @default 1024 */
  maxTracked?: number
  /** Seconds in which past mass loses half its weight. @default 604800 */
  halfLifeS?: number
}

/** Less than this is no interest any more: one question's first cell is left after five half-lives, its eighth after two. */
const LEAST_MASS = 1 / 32

/** A newcomer must be this much heavier than the lightest joined key, lest two of them take turns. */
const HYSTERESIS = 1.25

export function createInterest(options: InterestOptions = {}): Interest {
  const { maxJoined = 24, maxTracked = 1024, halfLifeS = 7 * 24 * 3600 } = options
  const masses = new Map<RoutingKey, { mass: number; at: number }>()
  const joined = new Set<RoutingKey>()

  const massOf = (key: RoutingKey, now: number): number => {
    const held = masses.get(key)
    return held ? held.mass * 2 ** (-(now - held.at) / halfLifeS) : 0
  }
  const lightest = (keys: Iterable<RoutingKey>, now: number): [RoutingKey, number] | undefined => {
    let found: [RoutingKey, number] | undefined
    for (const key of keys) {
      const mass = massOf(key, now)
      if (!found || mass < found[1]) found = [key, mass]
    }
    return found
  }

  return {
    joined,
    expire(now) {
      const left: RoutingKey[] = []
      for (const key of [...masses.keys()]) {
        if (massOf(key, now) >= LEAST_MASS) continue
        masses.delete(key)
        if (joined.delete(key)) left.push(key)
      }
      return left
    },
    touch(key, mass, now) {
      const total = massOf(key, now) + mass
      masses.set(key, { mass: total, at: now })
      if (masses.size > maxTracked) {
        const forgotten = lightest(
          [...masses.keys()].filter(tracked => !joined.has(tracked) && tracked !== key),
          now,
        )
        if (forgotten) masses.delete(forgotten[0])
      }
      if (joined.has(key)) return { joined: true }
      if (joined.size < maxJoined) {
        joined.add(key)
        return { join: key, joined: true }
      }
      const weakest = lightest(joined, now)
      if (weakest && total > weakest[1] * HYSTERESIS) {
        joined.delete(weakest[0])
        joined.add(key)
        return { join: key, leave: weakest[0], joined: true }
      }
      return { joined: false }
    },
  }
}
