/** Reads single values of a feedback body, whatever system's spelling they have; each says what it would have taken. */
import { type CorrectionType, correctionTypes } from '../../router/outcome.ts'
import { HttpError } from '../errors.ts'
import type { Source } from './opinion.ts'

export const MAX_TEXT_CHARS = 20_000
export const MAX_ID_CHARS = 256
const MAX_RECEIPT_CHARS = 2_048
const MAX_TAGS = 16
const MAX_TAG_CHARS = 64
const MAX_TOLD_CHARS = 60
/** In ASCII without controls, as every system's metric names are. */
const METRIC_PATTERN = /^[\w .:/-]{1,64}$/

const UP = ['up', 'like', 'thumbs_up', 'thumbsUp', 'thumbs-up', 'good', 'positive', 'correct', '1', true, 1]
const DOWN = ['down', 'dislike', 'thumbs_down', 'thumbsDown', 'thumbs-down', 'bad', 'negative', 'incorrect', '-1']
const ratings: ReadonlyMap<unknown, 'up' | 'down'> = new Map<unknown, 'up' | 'down'>([
  ...UP.map(word => [word, 'up'] as const),
  ...[...DOWN, false, -1, 0].map(word => [word, 'down'] as const),
])

/** Ours, and Langfuse's, of which one tells only by what way it came. */
const sourceWords: ReadonlyMap<unknown, Source | undefined> = new Map<unknown, Source | undefined>([
  ['user', 'user'],
  ['app', 'app'],
  ['evaluator', 'evaluator'],
  ['ANNOTATION', 'user'],
  ['EVAL', 'evaluator'],
  ['API', undefined],
])

export function wrong(path: string, expected: string, value: unknown): HttpError {
  const text = JSON.stringify(value) ?? 'nothing'
  const told = text.length > MAX_TOLD_CHARS ? `${text.slice(0, MAX_TOLD_CHARS)}…` : text
  return new HttpError('invalid_field', `${path} must be ${expected}, not ${told}`, { field: path })
}

export function readRating(value: unknown, path: string): 'up' | 'down' {
  const rating = ratings.get(value)
  if (rating === undefined) throw wrong(path, '"up", "down" or null', value)
  return rating
}

/** Undefined for a word that is no rating. */
export function asRating(value: unknown): 'up' | 'down' | undefined {
  return ratings.get(value)
}

export function readBoolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw wrong(path, 'true or false', value)
  return value
}

/** Booleans are scores in some systems. */
export function readScore(value: unknown, path: string): number {
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) throw wrong(path, 'a number from 0 to 1', value)
  return value
}

export function readText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'text', value)
  if (value.length > MAX_TEXT_CHARS) throw wrong(path, `at most ${MAX_TEXT_CHARS} characters long`, value)
  return value
}

/** Some systems correct with a document; it is kept, if at all, as its text. */
export function readDocument(value: unknown, path: string): string {
  return readText(typeof value === 'string' ? value : JSON.stringify(value), path)
}

export function readId(value: unknown, path: string): string {
  return readShort(value, path, MAX_ID_CHARS)
}

export function readReceipt(value: unknown, path: string): string {
  return readShort(value, path, MAX_RECEIPT_CHARS)
}

function readShort(value: unknown, path: string, maxChars: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= maxChars) return value
  throw wrong(path, `text of 1 to ${maxChars} characters`, value)
}

export function readMetric(value: unknown, path: string): string {
  if (typeof value === 'string' && METRIC_PATTERN.test(value)) return value
  throw wrong(path, 'a name of 1 to 64 letters, digits, spaces and . : / _ -', value)
}

export function readSource(value: unknown, path: string): Source | undefined {
  if (!sourceWords.has(value)) throw wrong(path, '"user", "app" or "evaluator"', value)
  return sourceWords.get(value)
}

export function readCorrectionType(value: unknown, path: string): CorrectionType {
  const type = correctionTypes.find(one => one === value)
  if (type === undefined) throw wrong(path, `one of ${correctionTypes.join(', ')}`, value)
  return type
}

export function readTags(value: unknown, path: string): string[] {
  const fits = (tag: unknown): tag is string => typeof tag === 'string' && tag !== '' && tag.length <= MAX_TAG_CHARS
  if (Array.isArray(value) && value.length <= MAX_TAGS && value.every(fits)) return value
  throw wrong(path, `at most ${MAX_TAGS} texts of 1 to ${MAX_TAG_CHARS} characters`, value)
}

export function readObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw wrong(path, 'an object', value)
}
