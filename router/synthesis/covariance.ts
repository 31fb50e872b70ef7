/** What is said near a question, and what of it has to do with what else: the matrix that the Gaussian process solves. Pure. */
import type { Evidence } from '../evidence.ts'
import { CELLS } from '../space.ts'
import type { Standing } from './agreement.ts'
import type { View } from './base-rates.ts'
import {
  type Described,
  domainFactor,
  type Hyperparameters,
  kernel,
  kernelSteps,
  modelFactor,
  stepOf,
  strategyFactor,
} from './kernel.ts'

/** Outcomes of one code, model, domain and strategy, said by this site, by one proven peer, or by strangers. */
export interface Group {
  /** Any of them, for what they have in common. */
  item: Evidence
  kind: Kind
  /** Of its code, among the codes at hand. */
  place: number
  /** Of its author, among the peers at hand; of strangers, one of them. */
  speaker: number
  standing: Standing
  similarity: number
  outcomes: number
  /** Outcomes, each by its freshness, observer and noise. */
  precision: number
  /** Σ precision · (signal − base rate), for each view. */
  own: number
  all: number
  robust: number
  /** Covariance with the question. */
  covariance: number
  voices: Voice[]
}

/** Model, domain and strategy: few are met in one look-up, and going through them is quicker than hashing. */
export interface Kind {
  at: number
  item: Evidence
  /** How much it has to do with what is asked. */
  factor: number
  rates: Record<View, number>
}

/** What one author said of one code. */
export interface Voice {
  author: string
  outcomes: number
  precision: number
  own: number
  all: number
  robust: number
}

/** How much two outcomes have to do with each other, whatever the questions. */
export function factorOf(
  a: Described & { strategy?: string | undefined },
  b: Described & { strategy?: string | undefined },
  fitted: Readonly<Hyperparameters>,
): number {
  return modelFactor(a, b, fitted) * domainFactor(a.domain, b.domain, fitted) * strategyFactor(a.strategy, b.strategy)
}

/**
 * Row-major, lower half; overwritten by the next call. Codes are compared by way of the question: s·s′ of their
 * similarities to it, and of what is left of both, as much as such rests have in common on average; comparing each with
 * each would cost more than all else.
 */
export function covarianceOf(
  groups: readonly Group[],
  kinds: readonly Kind[],
  fitted: Readonly<Hyperparameters>,
): Float64Array {
  const n = groups.length
  if (n > room) makeRoom(n)
  const { amplitude, sameCell, otherCell, peerBias, strangerBias } = fitted
  const kernels = kernelSteps(fitted)
  const factors = factorsOf(kinds, fitted)
  commons.fill(otherCell)
  commons[0] = sameCell
  for (let row = 0; row < n; row++) {
    const { similarity, item, kind, place, speaker, standing, outcomes, precision } = groups[row] as Group
    const { cell, sharpness: sharp } = item
    const s = sharp * similarity
    const rest = sharp * Math.sqrt(Math.max(0, 1 - similarity * similarity))
    const strange = standing === 'unproven' ? 1 : 0
    // This site has no bias of its own, nor one with anybody else.
    const speaks = standing === 'self' ? -1 - row : speaker
    const bias = strange * peerBias
    const ownBias = standing === 'self' ? 0 : strange ? strangerBias : peerBias
    similarities[row] = s
    rests[row] = rest
    sharpness[row] = sharp
    strangers[row] = strange
    places[row] = place
    cells[row] = cell
    kindsAt[row] = kind.at
    speakers[row] = speaks
    const at = row * n
    const known = kind.at * kinds.length
    for (let column = 0; column < row; column++) {
      // No branch where it could go either way each time.
      const common = commons[cell ^ (cells[column] as number)] as number
      const likeness =
        places[column] === place
          ? sharp * (sharpness[column] as number)
          : s * (similarities[column] as number) + common * rest * (rests[column] as number)
      const shared = bias * (strangers[column] as number) + (speakers[column] === speaks ? ownBias : 0)
      matrix[at + column] =
        (kernels[stepOf(likeness)] as number) * (factors[known + (kindsAt[column] as number)] as number) + shared
    }
    // Questions of one code are no more alike than the code tells.
    const alike = kernel(sharp * sharp, fitted)
    matrix[at + row] = amplitude * (alike + (1 - alike) / outcomes) + bias + ownBias + 1 / precision
  }
  return matrix
}

/** Of each kind with each, times the amplitude; row-major. */
function factorsOf(kinds: readonly Kind[], fitted: Readonly<Hyperparameters>): Float64Array {
  const factors = new Float64Array(kinds.length ** 2)
  for (const a of kinds) {
    for (const b of kinds) {
      if (b.at > a.at) break
      const factor = fitted.amplitude * factorOf(a.item, b.item, fitted)
      factors[a.at * kinds.length + b.at] = factor
      factors[b.at * kinds.length + a.at] = factor
    }
  }
  return factors
}

/** Numbers of the groups side by side are read faster than objects; one of each for all look-ups, which never overlap. */
let room = 0
let matrix: Float64Array
let similarities: Float64Array
let rests: Float64Array
let sharpness: Float64Array
let strangers: Float64Array
let places: Int32Array
let cells: Int32Array
let kindsAt: Int32Array
let speakers: Int32Array
/** By the exclusive or of two cells. */
const commons = new Float64Array(CELLS)

function makeRoom(groups: number): void {
  room = groups
  matrix = new Float64Array(groups * groups)
  similarities = new Float64Array(groups)
  rests = new Float64Array(groups)
  sharpness = new Float64Array(groups)
  strangers = new Float64Array(groups)
  places = new Int32Array(groups)
  cells = new Int32Array(groups)
  kindsAt = new Int32Array(groups)
  speakers = new Int32Array(groups)
}
