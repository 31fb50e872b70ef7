/** Which of several models to ask: what is expected of each, less its price, and now and then one that is less known. Pure. */

export interface Candidate {
  /** Mean and standard deviation of its expected outcome, 0..1. */
  expected: number
  deviation: number
  /** In whatever unit; only how it stands to the dearest candidate's counts. */
  price: number
}

export interface ChoiceOptions {
  /** What the price of the dearest candidate is worth in outcomes, from 0: price does not matter. */
  priceWeight: number
  /** Share of choices made among all alike, so that none is ever given up, 0..1; undefined to take the best known always. */
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
 * How much of the deviation is drawn: each question is a new draw, so that all of it would try models out for ever
 * (posterior reshaping, Chapelle & Li 2011). At 1, 0.5, 0.25 and 0.1 the choice learnt from its own answers alone was right
 * in 55, 59, 61 and 61 % of the questions that `npm run bench:routing` counts, with one seed.
 */
const DRAWN = 0.25

/**
 * Thompson sampling: each candidate's outcome is drawn from a normal distribution of its mean and deviation (Agrawal &
 * Goyal 2013), and the best draw wins. Unknown ones are tried often, hopeless ones hardly, and all at least at the floor.
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
  const anyone = explore !== undefined && random() < explore
  const drawn = candidates.map(({ deviation }, at) => {
    if (anyone) return random()
    return (scores[at] as number) + (explore === undefined ? 0 : DRAWN * deviation * normal(random))
  })
  const order = descending(drawn)
  return { order, scores, reason: order[0] === descending(scores)[0] ? 'best' : 'explored' }
}

/** Places, of the highest value first; of equal ones the earlier. */
function descending(values: readonly number[]): number[] {
  return values.map((_, at) => at).sort((a, b) => (values[b] as number) - (values[a] as number))
}

/** Box & Muller 1958. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
