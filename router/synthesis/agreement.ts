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

/** Held against what this site saw, or against what other peers say of the like. */
export type Measure = 'own' | 'crowd'

export interface Agreement {
  /**
   * Takes into account that `seen` here is so similar to what an author said; both as deviations from the base rate.
   *
   * @param weight what both words are worth, 0..1
   */
  compare(
    author: string,
    measure: Measure,
    trace: Trace,
    similarity: number,
    seen: number,
    said: number,
    weight: number,
  ): void
  /** Takes back all that an outcome has told. */
  forget(author: string, measure: Measure, trace: Trace): void
  standing(author: string): Exclude<Standing, 'self'>
  /** What the word of an unproven author is worth by what is known of it, 0..1; 1 as long as nothing speaks against it. */
  credibility(author: string): number
}

/**
 * Under the hypothesis that what an author says has nothing to do with what is seen here, Σ lean · deviation has mean 0 and
 * variance at most Σ lean² / 4; their ratio z is the signed root of twice the log-likelihood ratio (Rao's score test, 1948).
 */
export const PROVEN_AT = 2
export const DISTRUSTED_AT = -2.5
/** Whoever contradicts the other peers is not heard either, unless what was seen here bears it out; agreeing proves nothing. */
export const CONTRADICTS_AT = -2
export const BORNE_OUT_AT = 1
/** What others say counts for less than what was seen here. */
const CROWD = 0.7
/** Honest peers' scores lie below 0 now and then. */
const TOLERATED = 0.4
const STEEPNESS = 2
const VARIANCE = 0.25
/** Added to the variance, so that a few pairs prove nothing. */
const LEAST_VARIANCE = 0.25
/** Beyond this what was learnt earlier fades, so that whoever turns is found out: worth some hundred outcomes. */
const MOST_VARIANCE = 300
const MAX_AUTHORS = 50_000

interface Account {
  sum: number
  variance: number
}

const scoreOf = ({ sum, variance }: Account) => sum / Math.sqrt(Math.max(0, variance) + LEAST_VARIANCE)

export function createAgreement(): Agreement {
  const accounts = new Map<string, Record<Measure, Account>>()

  function accountOf(author: string, measure: Measure): Account {
    const account = accounts.get(author) ?? { own: { sum: 0, variance: 0 }, crowd: { sum: 0, variance: 0 } }
    // Those heard of least lately are forgotten first.
    accounts.delete(author)
    accounts.set(author, account)
    if (accounts.size > MAX_AUTHORS) {
      for (const oldest of accounts.keys()) {
        accounts.delete(oldest)
        break
      }
    }
    return account[measure]
  }

  return {
    compare(author, measure, trace, similarity, seen, said, weight) {
      const account = accountOf(author, measure)
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
    forget(author, measure, trace) {
      const account = accounts.get(author)?.[measure]
      if (!account) return
      account.sum -= trace.told
      account.variance = Math.max(0, account.variance - VARIANCE * trace.lean * trace.lean)
    },
    standing(author) {
      const account = accounts.get(author)
      if (!account) return 'unproven'
      const own = scoreOf(account.own)
      if (own >= PROVEN_AT) return 'proven'
      if (own <= DISTRUSTED_AT) return 'distrusted'
      return own < BORNE_OUT_AT && scoreOf(account.crowd) <= CONTRADICTS_AT ? 'distrusted' : 'unproven'
    },
    credibility(author) {
      const account = accounts.get(author)
      if (!account) return 1
      const score = scoreOf(account.own) + CROWD * scoreOf(account.crowd) + TOLERATED
      return Math.min(1, 2 / (1 + Math.exp(-STEEPNESS * score)))
    },
  }
}
