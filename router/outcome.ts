/** What may be said about one answer: the vocabulary that local learning, packets and synthesis share. */
import { isDeepStrictEqual } from 'node:util'

export const correctionTypes = ['factual', 'reasoning', 'format', 'safety', 'other'] as const
export type CorrectionType = (typeof correctionTypes)[number]

/** Human, evaluator, implicit: for one answer a human's word replaces an evaluator's, and both replace a guess. */
export const observers = ['h', 'e', 'i'] as const
export type Observer = (typeof observers)[number]

/** What the word of a person, an evaluator and a rule is worth beside each other. */
export const OBSERVER_WEIGHT: Readonly<Record<Observer, number>> = { h: 1, e: 0.8, i: 0.3 }

/** 0 the client's own choice, 1 the sidecar chose the model, 2 it refined the prompt or re-ranked the sources. */
export type Intervention = 0 | 1 | 2

/** A domain tag, dotted, at most 32 bytes. */
export const DOMAIN_PATTERN = '^[a-z0-9][a-z0-9._-]{0,31}$'
/** A coded strategy, at most 16 bytes. */
export const STRATEGY_PATTERN = '^[a-z0-9][a-z0-9._-]{0,15}$'
/** A fingerprint: the cell in two hex digits, then up to fourteen levels of one. */
export const CODE_PATTERN = '^[0-9a-f]{2,16}$'

export interface Outcome {
  /** Which answer: unlinkable to the request by anyone but its author; 16 hex digits. */
  answer: string
  /** Fingerprint of the question, 2 to 16 hex digits. */
  code: string
  domain: string
  /** Model variant as `modelVariant` spells it. */
  model: string
  /** 0 bad … 1 good. */
  signal: number
  /** The model's own confidence, 0..1, where it is known. */
  confidence?: number
  correction?: CorrectionType
  strategy?: string
  observer: Observer
  intervention: Intervention
  /** Rises by one with each change of mind, 0..255. */
  revision: number
  /** True when the author takes back all that was said of this answer. */
  withdrawn: boolean
  /** Unix seconds. */
  time: number
}

/** True when `next` may take the place of `held`: same or stronger observer. */
export function mayReplace(held: Observer, next: Observer): boolean {
  return observers.indexOf(next) <= observers.indexOf(held)
}

/** Whether this is already what an outcome says, but for which answer it is of and when it was said. */
export function says(
  { answer: _, revision: __, time: ___, withdrawn, ...held }: Outcome,
  told: Omit<Outcome, 'answer' | 'revision' | 'time' | 'withdrawn'>,
): boolean {
  return !withdrawn && isDeepStrictEqual(held, told)
}
