/** Which kinds of correction answers to such questions got, so that a prompt may ask for what was missing. Pure. */
import { type CorrectionType, correctionTypes } from '../outcome.ts'
import type { Weighed } from './nearby.ts'

export interface CorrectionShare {
  type: CorrectionType
  /** Of the outcomes near the question, shrunk towards 0; 0..1. */
  share: number
  /** How many of them had a correction of this type. */
  outcomes: number
}

/** Outcomes without any correction that are assumed beside those seen, so that one alone means little. */
const PSEUDO_COUNT = 1

/** The most frequent first. What came of a refined prompt is left out: it tells of the cure and not of the need. */
export function correctionShares(nearby: readonly Weighed[]): CorrectionShare[] {
  const plain = nearby.filter(({ evidence }) => evidence.intervention !== 2)
  const total = plain.reduce((sum, { weight }) => sum + weight, 0)
  return correctionTypes
    .map(type => {
      const corrected = plain.filter(({ evidence }) => evidence.correction === type)
      const weight = corrected.reduce((sum, one) => sum + one.weight, 0)
      return { type, share: weight / (total + PSEUDO_COUNT), outcomes: corrected.length }
    })
    .sort((a, b) => b.share - a.share)
}
