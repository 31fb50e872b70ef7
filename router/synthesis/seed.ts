/**
 * The published pattern's own rule, selectable to be compared with: an exponential moving average in an exact bucket. It is
 * worse than knowing nothing but a model's average on every table it was measured on.
 */
import type { Near } from '../code-index.ts'
import { type Evidence, SELF } from '../evidence.ts'
import { seedKey } from '../seed-profile.ts'
import type { Estimate, Grade } from './estimator.ts'

/** What the rule reads of an outcome. */
export interface SeedOutcome {
  /** 0 bad … 1 good. */
  signal: number
  /** The model's own confidence; where it is unknown, the outcome counts in full. */
  confidence?: number | undefined
  corrected: boolean
}

/** Of a bucket of which nothing is known: it adjusts nothing. */
export const SEED_START = 0.5
/** Hex digits of the fingerprint in a bucket's key: whole ones would never meet again. */
const BUCKET_DIGITS = 3
const MAX_ADJUSTMENT = 0.3

/** `0.7 · weight + 0.3 · (os − 0.15 · ca) · ci`, in the operations and the order of the published arithmetic. */
export function seedStep(weight: number, { signal, confidence = 1, corrected }: SeedOutcome): number {
  const added = (signal - 0.15 * (corrected ? 1 : 0)) * confidence
  return 0.7 * weight + 0.3 * added
}

/** `clamp(weight − 0.5, ±0.3)` */
export function seedAdjustment(weight: number): number {
  return Math.max(-MAX_ADJUSTMENT, Math.min(MAX_ADJUSTMENT, weight - 0.5))
}

export interface SeedQuery {
  /** Fingerprint, at least three hex digits. */
  code: string
  domain: string
  /** What is adjusted: the model's own confidence, or 0.5. */
  prior: number
  /** Unix seconds. */
  now: number
}

/**
 * Goes through what lives in the question's bucket, of whatever model, from the oldest to the newest. Unlike the reference,
 * it forgets what has expired and what was taken back.
 *
 * @param nearby evidence of the question's cell, in any order
 */
export function seedEstimate(nearby: Iterable<Near<Evidence>>, query: SeedQuery): Estimate {
  const bucket = bucketOf(query)
  const lived = [...nearby]
    .map(({ item }) => item)
    .filter(({ withdrawn, intervention, expires }) => !withdrawn && intervention !== 2 && expires > query.now)
    .filter(item => item.code.length >= BUCKET_DIGITS && bucketOf(item) === bucket)
    .sort((a, b) => a.time - b.time || (a.author + a.answer < b.author + b.answer ? -1 : 1))
  const weight = lived.reduce(
    (sofar, { signal, confidence, correction }) =>
      seedStep(sofar, { signal, confidence, corrected: correction !== undefined }),
    SEED_START,
  )
  const foreign = lived.filter(({ author }) => author !== SELF)
  const adjustment = seedAdjustment(weight)
  const confidence = Math.max(0, Math.min(1, query.prior + adjustment))
  // The rule itself tells none; that of a mean of as many.
  const deviation = Math.sqrt((confidence * (1 - confidence)) / (lived.length + 1))
  return {
    confidence,
    adjustment,
    grade: gradeOf(lived.length),
    deviation,
    prospect: { expected: confidence, deviation },
    weight: lived.length,
    packets: foreign.length,
    peers: new Set(foreign.map(({ author }) => author)).size,
  }
}

function bucketOf({ domain, code }: { domain: string; code: string }): string {
  return seedKey(domain, code.slice(0, BUCKET_DIGITS))
}

function gradeOf(count: number): Grade {
  if (count === 0) return 'none'
  if (count < 3) return 'low'
  return count < 10 ? 'moderate' : 'high'
}
