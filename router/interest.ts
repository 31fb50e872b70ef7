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

/**
 * What is less than this share of all that is asked here is not joined: cells at the edge of a few questions would bring
 * more packets than answers. And less than that is left again, lest a key on the border come and go.
 */
const LEAST_SHARE_TO_JOIN = 0.015
const LEAST_SHARE_TO_STAY = 0.0075

/** A newcomer must be this much heavier than the lightest joined key, lest two of them take turns. */
const HYSTERESIS = 1.25

export function createInterest(options: InterestOptions = {}): Interest {
  const { maxJoined = 24, maxTracked = 1024, halfLifeS = 7 * 24 * 3600 } = options
  const masses = new Map<RoutingKey, { mass: number; at: number }>()
  const joined = new Set<RoutingKey>()
  /** Of all keys, also of those no longer tracked. */
  const whole = { mass: 0, at: 0 }

  const wholeMass = (now: number): number => whole.mass * 2 ** (-(now - whole.at) / halfLifeS)
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
        const mass = massOf(key, now)
        if (mass < LEAST_MASS) masses.delete(key)
        else if (mass >= LEAST_SHARE_TO_STAY * wholeMass(now)) continue
        if (joined.delete(key)) left.push(key)
      }
      return left
    },
    touch(key, mass, now) {
      const total = massOf(key, now) + mass
      masses.set(key, { mass: total, at: now })
      whole.mass = wholeMass(now) + mass
      whole.at = now
      if (masses.size > maxTracked) {
        const forgotten = lightest(
          [...masses.keys()].filter(tracked => !joined.has(tracked) && tracked !== key),
          now,
        )
        if (forgotten) masses.delete(forgotten[0])
      }
      if (joined.has(key)) return { joined: true }
      if (total < LEAST_SHARE_TO_JOIN * whole.mass) return { joined: false }
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
