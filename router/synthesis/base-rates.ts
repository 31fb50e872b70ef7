/** What a model's outcomes are on average, shrunk towards what is known of like models and of the domain (empirical Bayes). */
import { modelFamily } from '../model-variant.ts'
import type { Tallies, Tally } from '../tallies.ts'
import type { Standing } from './agreement.ts'

/** By this site's outcomes alone; by everyone's; by everyone's, where peers' averages are replaced by their median. */
export type View = 'own' | 'all' | 'robust'

export interface BaseRates {
  /** Expected outcome of a model in a domain, 0..1. @param prior before anything was seen @default 0.5 */
  of(model: string, domain: string, view: View, prior?: number): number
  /** Outcomes behind it. @param domain all of them when absent */
  count(model: string, view: View, domain?: string): number
  /** What is known of a peer as one who tells of a model. */
  witness(author: string, model: string): Witness
}

export interface Witness {
  /** By how much its average lies outside of what peers' averages do, −1..1; mostly 0. */
  excess: number
  /** 0..1, growing with how much it has said: keys are free, and so is a first word. Less where its average is out of all reason. */
  experience: number
}

/** Pseudo-counts; see docs/synthesis.md for what they were fitted on. */
const PRIOR_COUNT = 2
const MODEL_COUNT = 4
const DOMAIN_COUNT = 4
const SHIFT_COUNT = 8
/** What other models tell of one at most, and how much less those of another family do. */
const LIKE_MODELS_COUNT = 4
const OTHER_FAMILY = 0.3
/** So many outcomes of one proven peer count at most, and as many of all the unproven together. */
const PEER_COUNT = 20
const STRANGERS_COUNT = 40
/** A peer's average is one among others from so many outcomes on, and a median is one of so many peers. */
const LEAST_OUTCOMES = 5
const LEAST_PEERS = 3
/** Averages within so many robust standard deviations (1.4826 · MAD) of the median are as they may be. */
const TOLERATED = 2 * 1.4826
/** With so many outcomes a peer's word is worth half of an old hand's. */
const NOVICE_COUNT = 2
/** How much less of the word of one counts whose average lies beyond them, at most all but a little. */
const DOUBT = 4
const LEAST_CREDIT = 0.02
const MAX_MODELS = 32
/** Peers' averages change slowly: they are summed up anew when this share of the evidence has changed. */
const STALE_SHARE = 1 / 64
const MAX_STALE = 256

interface Summary {
  n: number
  sum: number
  /** Of the unproven peers' averages, and of these averages' distances from it; undefined when there are too few. */
  median: number | undefined
  spread: number
}

export function createBaseRates(
  tallies: Tallies,
  { version, standing, self }: { version(): number; standing(author: string): Standing; self: string },
): BaseRates {
  let summed = { all: new Map<string, Summary>(), robust: new Map<string, Summary>() }
  let models: { name: string; family: string; size: number | undefined }[] = []
  let summedAt = -1
  let rates = new Map<string, number>()
  let ratedAt = -1
  let ratedFor = 0.5
  /** Many peers are asked about, of one model. */
  let lastModel = ''
  let lastSubject = ''

  function refresh(prior: number): void {
    const now = version()
    if (summedAt < 0 || now - summedAt > Math.min(MAX_STALE, STALE_SHARE * now)) {
      summedAt = now
      summed = { all: new Map(), robust: new Map() }
      models = []
      for (const subject of tallies.subjects()) {
        if (!subject.endsWith('/') || models.length === MAX_MODELS) continue
        const name = subject.slice(0, -1)
        models.push({ name, family: modelFamily(name), size: modelSize(name) })
      }
    }
    if (now !== ratedAt || prior !== ratedFor) rates = new Map()
    ratedAt = now
    ratedFor = prior
  }

  function summaryOf(subject: string, view: View): Tally {
    const own = tallies.of(subject, self)
    if (view === 'own') return own
    let summary = summed[view].get(subject)
    if (!summary) {
      summary = summarise(tallies.voices(subject), standing, view === 'robust')
      summed[view].set(subject, summary)
    }
    return { n: own.n + summary.n, sum: own.sum + summary.sum }
  }

  /** What is expected of a model by what others do, those most that are most like it. */
  function likeModels(model: string, view: View, prior: number): number {
    const key = `${view}/${model}`
    const known = rates.get(key)
    if (known !== undefined) return known
    const family = modelFamily(model)
    const size = modelSize(model)
    let [n, sum] = [PRIOR_COUNT, PRIOR_COUNT * prior]
    for (const other of models) {
      if (other.name === model) continue
      const tally = summaryOf(`${other.name}/`, view)
      if (tally.n <= 0) continue
      const likeness = (other.family === family ? 1 : OTHER_FAMILY) * sizeLikeness(size, other.size)
      const weight = (likeness * LIKE_MODELS_COUNT * tally.n) / (tally.n + PEER_COUNT)
      n += weight
      sum += (weight * tally.sum) / tally.n
    }
    rates.set(key, sum / n)
    return sum / n
  }

  /** A model's rate elsewhere than in a domain, whose own outcomes are to be counted once. */
  function rateElsewhere(model: string, domain: string, view: View, prior: number): number {
    const everywhere = summaryOf(`${model}/`, view)
    const here = summaryOf(`${model}/${domain}`, view)
    const n = Math.max(0, everywhere.n - here.n)
    const sum = Math.min(n, Math.max(0, everywhere.sum - here.sum))
    return shrink({ n, sum }, likeModels(model, view, prior), MODEL_COUNT)
  }

  /** How much harder or easier than elsewhere other models find a domain. */
  function domainShift(model: string, domain: string, view: View, prior: number): number {
    let [n, excess] = [SHIFT_COUNT, 0]
    for (const other of models) {
      if (other.name === model) continue
      const tally = summaryOf(`${other.name}/${domain}`, view)
      if (tally.n <= 0) continue
      n += tally.n
      excess += tally.sum - tally.n * rateElsewhere(other.name, domain, view, prior)
    }
    return excess / n
  }

  return {
    of(model, domain, view, prior = 0.5) {
      refresh(prior)
      const key = `${view}/${model}/${domain}`
      const known = rates.get(key)
      if (known !== undefined) return known
      const expected = clamp(rateElsewhere(model, domain, view, prior) + domainShift(model, domain, view, prior))
      const rate = clamp(shrink(summaryOf(`${model}/${domain}`, view), expected, DOMAIN_COUNT))
      rates.set(key, rate)
      return rate
    },
    count(model, view, domain = '') {
      refresh(ratedFor)
      return summaryOf(`${model}/${domain}`, view).n
    },
    witness(author, model) {
      if (model !== lastModel) [lastModel, lastSubject] = [model, `${model}/`]
      const { n, sum } = tallies.of(lastSubject, author)
      const experience = n / (n + NOVICE_COUNT)
      if (n < LEAST_OUTCOMES) return { excess: 0, experience }
      refresh(ratedFor)
      let summary = summed.robust.get(lastSubject)
      if (!summary) {
        summaryOf(lastSubject, 'robust')
        summary = summed.robust.get(lastSubject) as Summary
      }
      const { median, spread } = summary
      if (median === undefined) return { excess: 0, experience }
      const distance = sum / n - median
      const beyond = Math.max(0, Math.abs(distance) - TOLERATED * spread)
      return {
        excess: Math.sign(distance) * beyond,
        experience: experience * Math.max(LEAST_CREDIT, 1 - DOUBT * beyond),
      }
    },
  }
}

function summarise(
  voices: Iterable<readonly [author: string, said: Tally]>,
  standing: (author: string) => Standing,
  robust: boolean,
): Summary {
  const proven: Tally = { n: 0, sum: 0 }
  const strangers: Tally = { n: 0, sum: 0 }
  const averages: number[] = []
  for (const [author, { n, sum }] of voices) {
    const its = standing(author)
    if (its === 'self' || its === 'distrusted') continue
    const scale = Math.min(1, PEER_COUNT / n)
    const to = its === 'proven' ? proven : strangers
    to.n += scale * n
    to.sum += scale * sum
    if (n >= LEAST_OUTCOMES) averages.push(sum / n)
  }
  const enough = averages.length >= LEAST_PEERS
  const median = enough ? medianOf(averages) : undefined
  const spread = median === undefined ? 0 : medianOf(averages.map(average => Math.abs(average - median)))
  const strangersMean = robust && median !== undefined ? median : strangers.sum / Math.max(strangers.n, 1e-9)
  const strangersN = Math.min(strangers.n, STRANGERS_COUNT)
  return { n: proven.n + strangersN, sum: proven.sum + strangersN * strangersMean, median, spread }
}

/** `qwen2.5-7b-instruct` → 7; undefined where the name tells no size. Billions of parameters. */
export function modelSize(variant: string): number | undefined {
  const found = /(?:^|[-_.:~x])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])/.exec(variant)
  if (!found) return undefined
  return Number(found[1]) / (found[2] === 'm' ? 1000 : 1)
}

/** 1 for models as large, half for one twice or half as large; unknown sizes are like all. */
function sizeLikeness(a: number | undefined, b: number | undefined): number {
  return a === undefined || b === undefined ? 1 : Math.min(a, b) / Math.max(a, b)
}

function shrink({ n, sum }: Tally, towards: number, count: number): number {
  return (sum + count * towards) / (n + count)
}

function medianOf(values: number[]): number {
  const sorted = Float64Array.from(values).sort()
  const half = sorted.length >> 1
  const upper = sorted[half] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] as number) + upper) / 2
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}
