/** A token bucket per peer, so that one talkative peer cannot keep this machine busy checking signatures. */

export interface RateLimit {
  /** Takes one token; false when the peer has none left. */
  take(peer: string): boolean
  /** Whether there is one to take. */
  has(peer: string): boolean
}

export interface RateLimitOptions {
  /** Tokens that come back each second. */
  perSecond: number
  /** Tokens a peer starts with and never exceeds. */
  burst: number
}

/** Buckets kept at a time, far more than there can be connections; the one used longest ago goes first. */
const MAX_PEERS = 1024

export function createRateLimit(components: { now(): number }, options: RateLimitOptions): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>()

  function left(peer: string, now: number): number {
    const before = buckets.get(peer) ?? { tokens: options.burst, at: now }
    return Math.min(options.burst, before.tokens + ((now - before.at) / 1000) * options.perSecond)
  }

  return {
    has: peer => left(peer, components.now()) >= 1,
    take(peer) {
      const now = components.now()
      const tokens = left(peer, now)
      const granted = tokens >= 1
      buckets.delete(peer)
      buckets.set(peer, { tokens: granted ? tokens - 1 : tokens, at: now })
      if (buckets.size > MAX_PEERS) {
        for (const oldest of buckets.keys()) {
          buckets.delete(oldest)
          break
        }
      }
      return granted
    },
  }
}
