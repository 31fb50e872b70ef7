/** Remembers which peers broke the rules of late, so that one who keeps doing it is no longer listened to. */

export interface Reputation {
  /** Counts one broken rule. True when this one was the last straw. */
  blame(peer: string): boolean
  /** Whether to have nothing to do with the peer for now. */
  shunned(peer: string): boolean
  /** How much of the way to being shunned it has gone, 0..1; 1 while it is. */
  guilt(peer: string): number
}

export interface ReputationOptions {
  /** Broken rules that lead to being shunned; default 16, so that one bad relay or version skew costs nobody a peer. */
  strikes?: number
  /** One strike is forgiven in this time; default 60,000. */
  forgiveMs?: number
  /** How long a peer is shunned; default one hour. */
  shunMs?: number
}

/** Peers remembered at a time; the one blamed longest ago is forgotten first. */
const MAX_PEERS = 4096

export function createReputation(components: { now(): number }, options: ReputationOptions = {}): Reputation {
  const { strikes: limit = 16, forgiveMs = 60_000, shunMs = 3_600_000 } = options
  const records = new Map<string, { strikes: number; at: number; shunnedUntil: number }>()

  const recordOf = (peer: string, now: number) => records.get(peer) ?? { strikes: 0, at: now, shunnedUntil: 0 }
  const remaining = (record: { strikes: number; at: number }, now: number) =>
    Math.max(0, record.strikes - (now - record.at) / forgiveMs)

  return {
    blame(peer) {
      const now = components.now()
      const before = recordOf(peer, now)
      const strikes = remaining(before, now) + 1
      const lastStraw = strikes >= limit && before.shunnedUntil <= now
      records.delete(peer)
      records.set(peer, {
        strikes: lastStraw ? 0 : strikes,
        at: now,
        shunnedUntil: lastStraw ? now + shunMs : before.shunnedUntil,
      })
      if (records.size > MAX_PEERS) {
        for (const oldest of records.keys()) {
          records.delete(oldest)
          break
        }
      }
      return lastStraw
    },
    shunned(peer) {
      return (records.get(peer)?.shunnedUntil ?? 0) > components.now()
    },
    guilt(peer) {
      const now = components.now()
      const record = recordOf(peer, now)
      return record.shunnedUntil > now ? 1 : Math.min(1, remaining(record, now) / limit)
    },
  }
}
