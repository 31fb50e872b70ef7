/** What people and programs say of an answer, in one spelling, and how several sayings are put together. */
import type { CorrectionType, Observer } from '../../router/outcome.ts'

/** Strongest first: what the first of them says stands. `implicit` is the sidecar's own guess. */
export const sources = ['user', 'evaluator', 'app', 'implicit'] as const
export type Source = (typeof sources)[number]

/** A person's word, an evaluator's verdict, a program's guess from what people do, our own from what the answer looks like. */
export const OBSERVER: Record<Source, Observer> = { user: 'h', evaluator: 'e', app: 'i', implicit: 'i' }

export interface Correction {
  type: CorrectionType
  /** True when the type was not given but found by the rules of classify.ts. */
  classified?: boolean
  /** Length of the text, in characters. */
  chars?: number
  /** Only where the operator keeps such texts. */
  text?: string
}

export interface Said {
  /** null takes back what was said before. */
  rating?: 'up' | 'down' | null
  /** 0..1 */
  score?: number
  /** Scores that have a name of their own, 0..1. */
  scores?: Record<string, number>
  correction?: Correction
  comment?: string
  tags?: string[]
}

/** More names than this for one answer are no names but values. */
export const MAX_SCORES = 16

/**
 * Later words replace earlier ones of their kind; a new verdict replaces the old one, whether rating or score. Scores
 * with a name replace those of the same name.
 */
export function merge(held: Said | undefined, news: Said): Said {
  if (!held || held.rating === null || news.rating === null) return news
  const { rating, score, scores, correction, ...rest } = held
  const newVerdict = news.rating !== undefined || news.score !== undefined
  return {
    ...rest,
    ...(!newVerdict && rating !== undefined && { rating }),
    ...(!newVerdict && score !== undefined && { score }),
    ...(news.rating !== 'up' && correction && { correction }),
    ...news,
    ...((scores || news.scores) && { scores: { ...scores, ...news.scores } }),
  }
}

/**
 * A score is the finest word, then a rating, then the mean of the scores with a name; a correction alone says that the
 * answer was wrong.
 *
 * @returns 0 bad … 1 good; undefined when nothing was said of how good it was
 */
export function signalOf({ rating, score, scores, correction }: Said): number | undefined {
  if (rating === null) return undefined
  if (score !== undefined) return score
  if (rating !== undefined) return rating === 'up' ? 1 : 0
  const named = Object.values(scores ?? {})
  if (named.length > 0) return named.reduce((sum, value) => sum + value, 0) / named.length
  return correction ? 0 : undefined
}

/** One word for it, to count and to search by. */
export function ratingOf(said: Said): 'up' | 'down' | 'none' | 'revoked' {
  if (said.rating === null) return 'revoked'
  const signal = signalOf(said)
  if (signal === undefined || signal === 0.5) return 'none'
  return signal > 0.5 ? 'up' : 'down'
}

export function sameAs(a: Said, b: Said): boolean {
  return flat(a) === flat(b)
}

function flat({ rating, score, scores = {}, correction, comment, tags = [] }: Said): string {
  const named = Object.entries(scores).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([rating, score, named, correction?.type, correction?.chars, correction?.text, comment, tags])
}

/** Of all that was said of one answer, the word that stands: the strongest source's that has a verdict. */
export function standing<T extends { source: Source; said: Said }>(sayings: readonly T[]): T | undefined {
  return sayings
    .filter(({ said }) => signalOf(said) !== undefined)
    .sort((a, b) => sources.indexOf(a.source) - sources.indexOf(b.source))[0]
}
