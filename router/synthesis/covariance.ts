/** What is said near a question, and what of it has to do with what else: the matrix that the Gaussian process solves. Pure. */
import type { Evidence } from '../evidence.ts'
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
 * Row-major, lower half. Codes are compared by way of the question: s·s′ of their similarities to it, and of what is left
 * of both, as much as such rests have in common on average; comparing each with each would cost more than all else.
 */
export function covarianceOf(
  groups: readonly Group[],
  kinds: readonly Kind[],
  fitted: Readonly<Hyperparameters>,
): Float64Array {
  const n = groups.length
  const { amplitude, sameCell, otherCell, peerBias, strangerBias } = fitted
  const kernels = kernelSteps(fitted)
  const factors = Float64Array.from({ length: kinds.length ** 2 }, (_, i) => {
    const [a, b] = [kinds[Math.floor(i / kinds.length)] as Kind, kinds[i % kinds.length] as Kind]
    return amplitude * factorOf(a.item, b.item, fitted)
  })
  const matrix = new Float64Array(n * n)
  // Numbers side by side are read faster than objects.
  const similarities = new Float64Array(n)
  const rests = new Float64Array(n)
  const sharpness = new Float64Array(n)
  const described = new Int32Array(WORDS * n)
  for (let row = 0; row < n; row++) {
    const { similarity: s, item, kind, place, speaker, standing, outcomes, precision } = groups[row] as Group
    const { cell, sharpness: sharp } = item
    const rest = Math.sqrt(Math.max(0, 1 - s * s))
    const strange = standing === 'unproven'
    // This site has no bias of its own, nor one with anybody else.
    const speaks = standing === 'self' ? -1 - row : speaker
    similarities[row] = s
    rests[row] = rest
    sharpness[row] = sharp
    described.set([place, cell, kind.at, speaks, strange ? 1 : 0], WORDS * row)
    const at = row * n
    const known = kind.at * kinds.length
    for (let column = 0, word = 0; column < row; column++, word += WORDS) {
      const common = described[word + 1] === cell ? sameCell : otherCell
      const between = s * (similarities[column] as number) + common * rest * (rests[column] as number)
      const likeness = described[word] === place ? 1 : between
      const step = stepOf(likeness * sharp * (sharpness[column] as number))
      let covariance = (kernels[step] as number) * (factors[known + (described[word + 2] as number)] as number)
      const same = described[word + 3] === speaks
      if (strange) {
        if (described[word + 4] === 1) covariance += same ? peerBias + strangerBias : peerBias
      } else if (same) covariance += peerBias
      matrix[at + column] = covariance
    }
    // Questions of one code are no more alike than the code tells.
    const alike = kernel(sharp * sharp, fitted)
    const shared = amplitude * (alike + (1 - alike) / outcomes)
    const bias = speaks < 0 ? 0 : strange ? peerBias + strangerBias : peerBias
    matrix[at + row] = shared + bias + 1 / precision
  }
  return matrix
}

/** Of a group: its code, cell, kind, speaker, and whether that is a stranger. */
const WORDS = 5
