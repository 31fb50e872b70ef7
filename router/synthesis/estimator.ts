/** What is known about a question: a kernel mean over nearby outcomes, around the model's base rate. Pure. */
import type { Near } from '../code-index.ts'
import { type Evidence, type EvidenceIndex, SELF } from '../evidence.ts'
import { modelFamily } from '../model-variant.ts'
import type { Tally } from '../tallies.ts'
import { adjustmentBound, capped, type Voice } from './trust.ts'

export interface EstimateQuery {
  model: string
  domain: string
  /** What is expected of the answer before any outcome is seen, 0..1. */
  prior: number
  /** Unix seconds. */
  now: number
}

export const grades = ['none', 'low', 'moderate', 'high'] as const
export type Grade = (typeof grades)[number]

export interface Estimate {
  /** Expected outcome, 0..1: this site's own estimate plus the adjustment. */
  confidence: number
  /** What the network changed, −0.3..0.3. */
  adjustment: number
  grade: Grade
  /** Standard deviation of the expected outcome: how far it may be from the truth, 0..0.5. */
  deviation: number
  /** Effective number of nearby outcomes, own and capped foreign ones. */
  weight: number
  /** Nearby packets of peers, and how many peers they are from. */
  packets: number
  peers: number
}

/** Kernel width and the weight of the base rate, fitted on LLMRouter's table of outcomes; see docs/decisions.md. */
const TAU = 0.1
const K0 = 0.05
/** Below this similarity an outcome weighs less than e⁻⁶ and is passed over. */
export const MIN_SIMILARITY = 0.4
/** Of more neighbours than these only the nearest count, so that a crowded cell costs no more than a busy one. */
export const MAX_NEIGHBOURS = 64
/** Pseudo-counts that shrink a model's mean to the prior, and its mean in a domain to its mean. */
const PRIOR_COUNT = 2
const DOMAIN_COUNT = 4
const HALF_LIFE_S = 7 * 24 * 3600
const SAME_FAMILY = 0.5
const OTHER_MODEL = 0.25
const OTHER_DOMAIN = 0.5

/**
 * `base + Σ wᵢ(yᵢ − baseᵢ) / (Σ wᵢ + k₀)`, once over this site's outcomes alone and once over everyone's; the network's
 * say is the difference, bounded by what local outcomes have earned it (Nadaraya–Watson on residuals).
 */
export function estimate(neighbours: Iterable<Near<Evidence>>, query: EstimateQuery, index: EvidenceIndex): Estimate {
  const family = modelFamily(query.model)
  const ownBases = createBases(index, true, query.prior)
  const allBases = createBases(index, false, query.prior)

  const own: Voice = { weight: 0, residual: 0 }
  const ownAmongAll: Voice = { weight: 0, residual: 0 }
  const peers = new Map<string, Voice>()
  let packets = 0
  for (const { item: evidence, similarity } of neighbours) {
    const weight = weightOf(evidence, similarity, query, family)
    if (weight === 0) continue
    const { author, signal, model, domain } = evidence
    const residual = weight * (signal - allBases.of(model, domain))
    if (author === SELF) {
      add(own, weight, weight * (signal - ownBases.of(model, domain)))
      add(ownAmongAll, weight, residual)
    } else {
      const voice = peers.get(author) ?? { weight: 0, residual: 0 }
      peers.set(author, add(voice, weight, residual))
      packets++
    }
  }
  const all = { ...ownAmongAll }
  for (const voice of peers.values()) {
    const { weight, residual } = capped(voice)
    add(all, weight, residual)
  }

  const local = clamp(ownBases.of(query.model, query.domain) + mean(own), 0, 1)
  const pooled = clamp(allBases.of(query.model, query.domain) + mean(all), 0, 1)
  const bound = adjustmentBound(index.tally(query.model, undefined, true).n)
  const grade = gradeOf(all.weight)
  // Without evidence near the question, what others say of the model in general is not worth a word.
  const adjustment = grade === 'none' ? 0 : clamp(pooled - local, -bound, bound)
  const confidence = clamp(local + adjustment, 0, 1)
  return {
    confidence,
    adjustment: confidence - local,
    grade,
    deviation: Math.sqrt((confidence * (1 - confidence)) / (all.weight + 1)),
    weight: all.weight,
    packets,
    peers: peers.size,
  }
}

/** A model's mean outcome, shrunk to the prior, and its mean in a domain, shrunk to that; each computed once. */
function createBases(index: EvidenceIndex, ownOnly: boolean, prior: number) {
  const known: { model: string; domain: string; base: number }[] = []
  return {
    of(model: string, domain: string): number {
      // Few are met in one look-up: going through them is quicker than hashing.
      for (const one of known) if (one.model === model && one.domain === domain) return one.base
      const general = shrink(index.tally(model, undefined, ownOnly), prior, PRIOR_COUNT)
      const base = shrink(index.tally(model, domain, ownOnly), general, DOMAIN_COUNT)
      known.push({ model, domain, base })
      return base
    },
  }
}

function weightOf(evidence: Evidence, similarity: number, query: EstimateQuery, family: string): number {
  // A refined prompt or re-ranked sources say nothing about the plain question.
  if (similarity < MIN_SIMILARITY || evidence.withdrawn || evidence.intervention === 2) return 0
  if (evidence.expires <= query.now) return 0
  const recency = 2 ** (-Math.max(0, query.now - evidence.time) / HALF_LIFE_S)
  const model = evidence.model === query.model ? 1 : evidence.family === family ? SAME_FAMILY : OTHER_MODEL
  const domain = evidence.domain === query.domain ? 1 : OTHER_DOMAIN
  return Math.exp((similarity - 1) / TAU) * recency * model * domain * evidence.observerWeight
}

function gradeOf(weight: number): Grade {
  if (weight < 0.05) return 'none'
  if (weight < 1) return 'low'
  return weight < 4 ? 'moderate' : 'high'
}

function shrink({ n, sum }: Tally, towards: number, count: number): number {
  return (sum + count * towards) / (n + count)
}

function mean({ weight, residual }: Voice): number {
  return residual / (weight + K0)
}

function add(voice: Voice, weight: number, residual: number): Voice {
  voice.weight += weight
  voice.residual += residual
  return voice
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}
