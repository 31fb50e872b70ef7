/**
 * Who has earned how much of the say: the site alone, or its peers, robustly or plainly. Each local outcome scores them by
 * log loss, for which the Aggregating Algorithm's mixture loses at most ln(1 / prior share) more than the best of them
 * (Vovk 1990; the loss is 1-mixable), and little more when the best one changes (Herbster & Warmuth 1998).
 */
import type { Opinions } from './estimator.ts'
import { PRIOR_SHARES, type Shares } from './trust.ts'

export interface Mixing {
  /** What each has earned in a domain; sums to 1. */
  shares(domain: string): Shares
  /**
   * Scores what was expected, and advised, by what came, 0..1.
   *
   * @param weight what the observer's word is worth, 0..1
   * @returns the domain's benefit after it
   */
  score(domain: string, expected: Opinions & { advised: number }, signal: number, weight: number): Benefit
  benefits(): Benefit[]
  /** For the store, so that nothing is forgotten with the process. */
  save(): string
  /** Takes up what `save` gave; throws nothing: what cannot be read is forgotten. */
  restore(saved: string): void
}

/** What listening to peers has brought: mean log score with them minus without, in nats an outcome, of late. */
export interface Benefit {
  /** A domain, or `other` beyond the first few. */
  domain: string
  nats: number
  /** How many outcomes that is an average of, as far as they are remembered. */
  outcomes: number
}

interface Earned extends Omit<Shares, 'slope'> {
  gain: number
  outcomes: number
  /** Σ move · what came, and Σ move²: of which the slope is made. */
  cross: number
  square: number
}

const experts = ['local', 'robust', 'network'] as const
const MAX_DOMAINS = 32
const REST = 'other'
/** All domains together: whence a new one starts. */
const EVERYWHERE = ''
/** Share of each that is dealt out anew with each outcome. */
const SWITCHING = 0.002
/** What is remembered of benefit halves in so many outcomes. */
const HALF_LIFE = 300
const LEAST = 0.05
/** What a slope of 1 weighs beforehand, in squared moves: some ten outcomes. */
const SLOPE_COUNT = 0.3
const MOST_SLOPE = 1.5
const START = {
  local: PRIOR_SHARES.local,
  robust: PRIOR_SHARES.robust,
  network: PRIOR_SHARES.network,
  gain: 0,
  outcomes: 0,
}
const NOTHING = { cross: 0, square: 0 }

export function createMixing(): Mixing {
  const records = new Map<string, Earned>([[EVERYWHERE, { ...START, ...NOTHING }]])
  const everywhere = () => records.get(EVERYWHERE) as Earned

  const nameOf = (domain: string) => (records.has(domain) || records.size <= MAX_DOMAINS ? domain : REST)
  const benefitOf = (domain: string, { gain, outcomes }: Earned): Benefit => ({
    domain,
    nats: outcomes === 0 ? 0 : gain / outcomes,
    outcomes,
  })

  function update(record: Earned, expected: Opinions & { advised: number }, signal: number, weight: number): void {
    const likelihoods = experts.map(expert => likelihood(expected[expert], signal))
    const faded = 2 ** (-weight / HALF_LIFE)
    const gain = Math.log(likelihood(expected.advised, signal) / (likelihoods[0] as number))
    record.gain = record.gain * faded + weight * gain
    record.outcomes = record.outcomes * faded + weight
    record.cross = record.cross * faded + weight * expected.move * (signal - expected.base)
    record.square = record.square * faded + weight * expected.move ** 2
    const earned = experts.map((expert, i) => record[expert] * (likelihoods[i] as number) ** weight)
    const total = earned.reduce((sum, share) => sum + share, 0)
    for (const [i, expert] of experts.entries()) {
      record[expert] = (1 - SWITCHING) * ((earned[i] as number) / total) + SWITCHING * PRIOR_SHARES[expert]
    }
  }

  return {
    shares(domain) {
      const { local, robust, network } = records.get(domain) ?? everywhere()
      const { cross, square } = everywhere()
      const slope = Math.min(MOST_SLOPE, Math.max(0, (cross + SLOPE_COUNT) / (square + SLOPE_COUNT)))
      return { local, robust, network, slope }
    },
    score(domain, expected, signal, weight) {
      const name = nameOf(domain)
      let record = records.get(name)
      if (!record) {
        record = { ...everywhere(), gain: 0, outcomes: 0, ...NOTHING }
        records.set(name, record)
      }
      update(record, expected, signal, weight)
      update(everywhere(), expected, signal, weight)
      return benefitOf(name, record)
    },
    benefits: () =>
      [...records].filter(([name]) => name !== EVERYWHERE).map(([name, record]) => benefitOf(name, record)),
    save: () => JSON.stringify([...records]),
    restore(saved) {
      for (const [name, record] of readRecords(saved)) records.set(name, record)
    },
  }
}

/** Of a signal between 0 and 1, as of so many right and wrong answers: the weighted geometric mean. */
function likelihood(expected: number, signal: number): number {
  const p = Math.min(1 - LEAST, Math.max(LEAST, expected))
  return p ** signal * (1 - p) ** (1 - signal)
}

function readRecords(saved: string): [string, Earned][] {
  let read: unknown
  try {
    read = JSON.parse(saved)
  } catch {
    return []
  }
  if (!Array.isArray(read)) return []
  return read.filter(isEntry).slice(0, MAX_DOMAINS + 1)
}

function isEntry(entry: unknown): entry is [string, Earned] {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'object') return false
  const record = entry[1] as Partial<Record<keyof Earned, unknown>> | null
  const { local, robust, network, gain, outcomes, cross, square } = record ?? {}
  const numbers = [local, robust, network, gain, outcomes, cross, square]
  if (!numbers.every(value => typeof value === 'number' && Number.isFinite(value))) return false
  const sum = Number(local) + Number(robust) + Number(network)
  return Math.abs(sum - 1) < 1e-6
}
