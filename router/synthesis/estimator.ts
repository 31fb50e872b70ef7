/**
 * What is known about a question: a Gaussian process over the nearest outcomes, around the model's base rate; by this site
 * alone and with its peers, mixed as they have earned it. Pure. docs/synthesis.md explains it.
 */
import type { Near } from '../code-index.ts'
import { type Evidence, type EvidenceIndex, SELF } from '../evidence.ts'
import { modelFamily } from '../model-variant.ts'
import type { Standing } from './agreement.ts'
import type { View, Witness } from './base-rates.ts'
import { covarianceOf, factorOf, type Group, type Kind, type Voice } from './covariance.ts'
import { factorise, type Solution, solve } from './gaussian.ts'
import { FITTED, type Hyperparameters, kernel } from './kernel.ts'
import { adjustmentBound, PRIOR_SHARES, type Shares } from './trust.ts'

export interface EstimateQuery {
  model: string
  domain: string
  strategy?: string | undefined
  /** What is expected of the answer before any outcome is seen, 0..1. */
  prior: number
  /** Unix seconds. */
  now: number
  /** What the site alone and the two ways of listening to peers have earned. @default PRIOR_SHARES */
  shares?: Shares
  /** @default FITTED */
  fitted?: Readonly<Hyperparameters>
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
  /** How many fresh outcomes of the very same question and model, seen here, would tell as much. */
  weight: number
  /** Nearby packets of peers, and how many peers they are from. */
  packets: number
  peers: number
  prospect: Prospect
}

/** What models are compared by, where `confidence` is what is told of one. */
export interface Prospect {
  /** What the experts expect together, 0..1, however far from this site's own estimate: a bound would make equals of the best. */
  expected: number
  /** Standard deviation of what more outcomes of the model in this domain would settle, 0..0.25. */
  deviation: number
}

/** What three experts expect: this site alone, everyone with peers' averages held to their median, and everyone. */
export interface Opinions {
  local: number
  robust: number
  network: number
  /** The base rate by everyone's outcomes, and how far the neighbours' own would move it. */
  base: number
  move: number
}

/** Below this similarity an outcome tells next to nothing and is passed over. */
export const MIN_SIMILARITY = 0.4
/** Of different codes near a question only so many nearest count, so that a crowded cell costs no more than a busy one. */
export const MAX_NEIGHBOURS = 64
/** So many of them at most are this site's own. */
const MAX_OWN = 24

/** Fresh outcomes of one code that count of one peer at most. */
const MAX_REPEATS = 2
const HALF_LIFE_S = 7 * 24 * 3600
/** Of the base rate's own variance: outcomes that it is worth before any is seen. */
const BASE_COUNT = 4

export function estimate(neighbours: Iterable<Near<Evidence>>, query: EstimateQuery, index: EvidenceIndex): Estimate {
  return assess(neighbours, query, index).estimate
}

/** With what each expert expects by itself, for those who keep the score. */
export function assess(
  neighbours: Iterable<Near<Evidence>>,
  query: EstimateQuery,
  index: EvidenceIndex,
): { estimate: Estimate; opinions: Opinions } {
  const { opinions, explained, packets, peers } = consult(neighbours, query, index)
  const { local, robust, network } = opinions
  const shares = query.shares ?? PRIOR_SHARES
  const mixed = shares.local * local + shares.robust * robust + shares.network * network
  const { amplitude } = query.fitted ?? FITTED
  const weight = equivalent(explained, amplitude)
  const grade = gradeOf(weight)
  const bound = adjustmentBound(index.tally(query.model, undefined, true).n)
  // Without evidence near the question, what others say of the model in general is not worth a word.
  const adjustment = grade === 'none' ? 0 : clamp(mixed - local, -bound, bound)
  const confidence = clamp(local + adjustment, 0, 1)
  const deviation = deviationOf(confidence, explained, index.rates.count(query.model, 'all'), amplitude)
  const expected = clamp(mixed, 0, 1)
  const prospect = { expected, deviation: rateDeviation(expected, index.rates.count(query.model, 'all', query.domain)) }
  return {
    estimate: { confidence, adjustment: confidence - local, grade, deviation, weight, packets, peers, prospect },
    opinions,
  }
}

function consult(neighbours: Iterable<Near<Evidence>>, query: EstimateQuery, index: EvidenceIndex) {
  const { own, peers, kinds, packets, authors } = group(neighbours, query, index)
  const groups = [...nearest(own, MAX_OWN), ...nearest(peers, MAX_NEIGHBOURS - Math.min(own.length, MAX_OWN))]
  const ownCount = Math.min(own.length, MAX_OWN)
  const n = groups.length
  const fitted = query.fitted ?? FITTED
  const factor = covarianceOf(groups, kinds, fitted)
  factorise(factor, n)
  const covariances = new Float64Array(n)
  for (let i = 0; i < n; i++) covariances[i] = (groups[i] as Group).covariance
  const network = solve(factor, n, covariances, n, fitted.amplitude)
  const local = ownCount === n ? network : solve(factor, n, covariances, ownCount, fitted.amplitude)
  const { slope } = query.shares ?? PRIOR_SHARES
  const rate = (view: View) => index.rates.of(query.model, query.domain, view, query.prior)
  const move = (view: View, { weights }: Solution) => {
    let sum = 0
    for (let i = 0; i < weights.length; i++) {
      const one = groups[i] as Group
      sum += ((weights[i] as number) * one[view]) / one.precision
    }
    return sum
  }
  const expect = (view: View, solution: Solution) => clamp(rate(view) + slope * move(view, solution), 0, 1)
  const opinions: Opinions = {
    local: expect('own', local),
    robust: expect('robust', network),
    network: expect('all', network),
    base: rate('all'),
    move: move('all', network),
  }
  return { opinions, explained: network.explained, packets, peers: authors.size }
}

/** What was said of one code is weighed together, once each peer's part of it is held to its bound. */
function group(neighbours: Iterable<Near<Evidence>>, query: EstimateQuery, index: EvidenceIndex) {
  const { fitted = FITTED } = query
  const kindOf = createKinds(query, index)
  const byCode = new Map<string, Group[]>()
  const peersHeard = new Map<string, Peer[]>()
  let packets = 0
  for (const { item, similarity } of neighbours) {
    const fresh = precisionOf(item, similarity, query.now)
    if (fresh === 0) continue
    const { author, model, code, signal } = item
    const peer = author === SELF ? OURSELVES : peerOf(author, model, peersHeard, index)
    if (author !== SELF) packets++
    const kind = kindOf.item(item)
    let sharing = byCode.get(code)
    if (!sharing) {
      sharing = []
      byCode.set(code, sharing)
    }
    let one = sharing.find(other => belongs(kind, peer, other))
    if (!one) {
      one = {
        item,
        kind,
        place: sharing[0]?.place ?? byCode.size,
        speaker: peer.number,
        standing: peer.standing,
        similarity,
        outcomes: 0,
        precision: 0,
        own: 0,
        all: 0,
        robust: 0,
        covariance: fitted.amplitude * kernel(similarity * item.sharpness, fitted) * kind.factor,
        voices: [],
      }
      sharing.push(one)
    }
    let voice = one.voices.find(other => other.author === author)
    if (!voice) {
      voice = { author, outcomes: 0, precision: 0, own: 0, all: 0, robust: 0 }
      one.voices.push(voice)
    }
    const precision = fresh * peer.experience
    const base = kind.rates
    voice.outcomes++
    voice.precision += precision
    voice.own += precision * (signal - base.own)
    voice.all += precision * (signal - base.all)
    voice.robust += precision * (signal - base.robust - peer.excess)
  }
  const own: Group[] = []
  const peers: Group[] = []
  for (const sharing of byCode.values()) {
    for (const one of sharing) {
      for (const voice of one.voices) addVoice(one, voice)
      ;(one.standing === 'self' ? own : peers).push(one)
    }
  }
  return { own, peers, kinds: kindOf.all, packets, authors: peersHeard }
}

function belongs(kind: Kind, { standing, number }: Peer, other: Group): boolean {
  return standing === other.standing && kind === other.kind && (standing !== 'proven' || number === other.speaker)
}

function addVoice(one: Group, voice: Voice): void {
  const scale = one.standing === 'self' ? 1 : Math.min(1, MAX_REPEATS / voice.precision)
  one.outcomes += voice.outcomes
  one.precision += scale * voice.precision
  one.own += scale * voice.own
  one.all += scale * voice.all
  one.robust += scale * voice.robust
}

interface Peer extends Witness {
  number: number
  model: string
  standing: Standing
}

const OURSELVES: Peer = { number: 0, model: '', standing: 'self', excess: 0, experience: 1 }

function peerOf(author: string, model: string, known: Map<string, Peer[]>, index: EvidenceIndex): Peer {
  let ofModels = known.get(author)
  if (!ofModels) {
    ofModels = []
    known.set(author, ofModels)
  }
  let peer = ofModels.find(one => one.model === model)
  if (!peer) {
    const standing = index.standing(author)
    const { excess, experience } = index.rates.witness(author, model)
    const worth = standing === 'proven' ? 1 : experience * index.credibility(author)
    peer = { number: ofModels[0]?.number ?? known.size, model, standing, excess, experience: worth }
    ofModels.push(peer)
  }
  return peer
}

/** Those that tell most. */
function nearest(groups: Group[], most: number): Group[] {
  if (groups.length <= most) return groups
  const worth = ({ covariance, precision }: Group) => covariance * Math.min(1, precision)
  return groups.sort((a, b) => worth(b) - worth(a)).slice(0, most)
}

function createKinds(query: EstimateQuery, index: EvidenceIndex) {
  const { fitted = FITTED, prior } = query
  const asked = { ...query, family: modelFamily(query.model) }
  const all: Kind[] = []
  return {
    all,
    item(item: Evidence): Kind {
      const { model, domain, strategy } = item
      for (const one of all) {
        const other = one.item
        if (other.model === model && other.domain === domain && other.strategy === strategy) return one
      }
      const rate = (view: View) => index.rates.of(model, domain, view, prior)
      const rates = { own: rate('own'), all: rate('all'), robust: rate('robust') }
      const one = { at: all.length, item, factor: factorOf(asked, item, fitted), rates }
      all.push(one)
      return one
    },
  }
}

function precisionOf(evidence: Evidence, similarity: number, now: number): number {
  // A refined prompt or re-ranked sources say nothing about the plain question.
  if (similarity < MIN_SIMILARITY || evidence.withdrawn || evidence.intervention === 2) return 0
  if (evidence.expires <= now) return 0
  const recency = 2 ** (-Math.max(0, now - evidence.time) / HALF_LIFE_S)
  return recency * evidence.observerWeight
}

/** `explained` by so many outcomes of the same question: a·n / (a·n + 1). */
function equivalent(explained: number, amplitude: number): number {
  return explained / (amplitude * Math.max(1 - explained, 1e-6))
}

/** Of the question's own deviation and of the base rate, in outcomes. */
function deviationOf(expected: number, explained: number, outcomes: number, amplitude: number): number {
  const shared = (luckOf(expected) * amplitude) / (1 + amplitude)
  return Math.min(0.5, Math.sqrt(shared * (1 - explained) + rateDeviation(expected, outcomes) ** 2))
}

function rateDeviation(expected: number, outcomes: number): number {
  return Math.sqrt(luckOf(expected) / (outcomes + BASE_COUNT))
}

/** Variance of one outcome. */
function luckOf(expected: number): number {
  return Math.max(expected * (1 - expected), 0.01)
}

function gradeOf(weight: number): Grade {
  if (weight < 0.03) return 'none'
  if (weight < 0.2) return 'low'
  return weight < 0.6 ? 'moderate' : 'high'
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}
