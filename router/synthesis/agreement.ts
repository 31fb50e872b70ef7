/** Whether a peer's word agrees with what this site saw itself: a running score test for each peer. */
import { kernel } from './kernel.ts'

/** `self` is this site; peers are `unproven` until enough of what they said could be checked here. */
export type Standing = 'self' | 'proven' | 'unproven' | 'distrusted'

/** What one outcome of a peer has told of it so far. */
export interface Trace {
  /** Σ kernel · deviation of this site's own outcomes near it: what they make one expect of it. */
  lean: number
  /** lean · its own deviation, as it was added to the peer's sum. */
  told: number
}

export interface Agreement {
  /**
   * Takes into account that `seen` here is so similar to what an author said; both as deviations from the base rate.
   *
   * @param weight what both words are worth, 0..1
   */
  compare(author: string, trace: Trace, similarity: number, seen: number, said: number, weight: number): void
  /** Takes back all that an outcome has told. */
  forget(author: string, trace: Trace): void
  standing(author: string): Exclude<Standing, 'self'>
}

/**
 * Under the hypothesis that what an author says has nothing to do with what is seen here, Σ lean · deviation has mean 0 and
 * variance at most Σ lean² / 4; their ratio z is the signed root of twice the log-likelihood ratio (Rao's score test, 1948).
 */
export const PROVEN_AT = 2
export const DISTRUSTED_AT = -2.5
const VARIANCE = 0.25
/** Added to the variance, so that a few pairs prove nothing. */
const LEAST_VARIANCE = 0.25
/** Beyond this what was learnt earlier fades, so that whoever turns is found out: worth some hundred outcomes. */
const MOST_VARIANCE = 40
const MAX_AUTHORS = 50_000

interface Account {
  sum: number
  variance: number
}

export function createAgreement(): Agreement {
  const accounts = new Map<string, Account>()

  function accountOf(author: string): Account {
    const account = accounts.get(author) ?? { sum: 0, variance: 0 }
    // Those heard of least lately are forgotten first.
    accounts.delete(author)
    accounts.set(author, account)
    if (accounts.size > MAX_AUTHORS) {
      for (const oldest of accounts.keys()) {
        accounts.delete(oldest)
        break
      }
    }
    return account
  }

  return {
    compare(author, trace, similarity, seen, said, weight) {
      const account = accountOf(author)
      const before = trace.lean
      trace.lean += weight * kernel(similarity) * seen
      const told = (trace.lean - before) * said
      trace.told += told
      account.sum += told
      account.variance += VARIANCE * (trace.lean * trace.lean - before * before)
      const fading = MOST_VARIANCE / account.variance
      if (fading < 1 && fading > 0) {
        account.sum *= fading
        account.variance *= fading
      }
    },
    forget(author, trace) {
      const account = accounts.get(author)
      if (!account) return
      account.sum -= trace.told
      account.variance = Math.max(0, account.variance - VARIANCE * trace.lean * trace.lean)
    },
    standing(author) {
      const { sum, variance } = accounts.get(author) ?? { sum: 0, variance: 0 }
      const z = sum / Math.sqrt(Math.max(0, variance) + LEAST_VARIANCE)
      if (z >= PROVEN_AT) return 'proven'
      return z <= DISTRUSTED_AT ? 'distrusted' : 'unproven'
    },
  }
}
