/** Which of several models to ask: what is expected of each, less its price, and now and then one that is less known. Pure. */

export interface Candidate {
  /** Its expected outcome, 0..1, and the standard deviation of what trying it would settle. */
  expected: number
  deviation: number
  /** In whatever unit; only how it stands to the dearest candidate's counts. */
  price: number
}

export interface ChoiceOptions {
  /** What the price of the dearest candidate is worth in outcomes, from 0: price does not matter. */
  priceWeight: number
  /** Largest share of choices made among all alike, so that none is ever given up, 0..1; undefined to take the best known always. */
  explore: number | undefined
}

export interface Choice {
  /** Of the candidates, best first by the draw that decided. */
  order: number[]
  /** `expected − priceWeight · price / dearest` of each candidate. */
  scores: number[]
  /** `best`: that of the highest score; `explored`: another, by the luck of the draw. */
  reason: 'best' | 'explored'
}

/**
 * How much of the deviation is drawn (posterior reshaping, Chapelle & Li 2011): in full, near equals are tried out for long
 * at the cost of answers. docs/decisions.md has what was measured.
 */
const DRAWN = 0.25
/** One whose outcome is known this well is tried at random the more seldom the better it is known. */
const KNOWN_DEVIATION = 0.1

/**
 * Thompson sampling: each candidate's outcome is drawn from a normal distribution of its mean and deviation (Agrawal &
 * Goyal 2013), and the best draw wins. Unknown ones are tried often, hopeless ones hardly, and all at least at the floor,
 * which sinks with what is known of them (ε-greedy with ε ~ 1/n; Auer, Cesa-Bianchi & Fischer 2002).
 *
 * @param candidates at least one
 * @param random uniform in [0, 1)
 */
export function chooseAmong(
  candidates: readonly Candidate[],
  { priceWeight, explore }: ChoiceOptions,
  random: () => number,
): Choice {
  const dearest = Math.max(...candidates.map(({ price }) => price))
  const cost = (price: number) => (dearest > 0 ? (priceWeight * price) / dearest : 0)
  const scores = candidates.map(({ expected, price }) => expected - cost(price))
  const best = descending(scores)
  if (explore === undefined) return { order: best, scores, reason: 'best' }
  const drawn = candidates.map(({ deviation }, at) => (scores[at] as number) + DRAWN * deviation * normal(random))
  const tried = random() < explore ? Math.floor(random() * candidates.length) : undefined
  if (tried !== undefined && random() < ((candidates[tried]?.deviation ?? 0) / KNOWN_DEVIATION) ** 2) {
    drawn[tried] = Number.POSITIVE_INFINITY
  }
  const order = descending(drawn)
  return { order, scores, reason: order[0] === best[0] ? 'best' : 'explored' }
}

/** Places, of the highest value first; of equal ones the earlier. */
function descending(values: readonly number[]): number[] {
  return values.map((_, at) => at).sort((a, b) => (values[b] as number) - (values[a] as number))
}

/** Box & Muller 1958. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
