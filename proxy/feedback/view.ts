/** Feedback as it is shown, and the questions that lists of it answer. */
import { HttpError } from '../errors.ts'
import { ratingOf, signalOf, sources } from './opinion.ts'
import type { FeedbackCursor, FeedbackFilter, StoredFeedback } from './store.ts'

const MAX_PAGE = 500
const DEFAULT_PAGE = 100
const MAX_CURSOR_CHARS = 200
const CHOICES = {
  rating: ['up', 'down', 'none', 'revoked'],
  source: sources,
  state: ['kept', 'pending', 'expired'],
} as const
export const FILTERS = ['since', 'until', 'domain', 'model', 'rating', 'source', 'state', 'limit', 'cursor']

/** @param expected of the answer, 0..1, from what is known now of the model */
export function viewOf(
  { id, requestId, source, said, state, answer, history, ...times }: StoredFeedback,
  expected?: number,
) {
  const { rating, ...words } = said
  return {
    feedback_id: id,
    request_id: answer?.requestId ?? (state === 'kept' ? requestId : null),
    completion_id: answer?.completionId ?? (state === 'kept' ? null : requestId.slice(1)),
    source,
    state,
    rating: rating ?? null,
    revoked: rating === null,
    ...words,
    verdict: ratingOf(said),
    signal: signalOf(said) ?? null,
    domain: answer?.domain ?? null,
    model: answer?.model ?? null,
    self_confidence: answer?.confidence ?? null,
    expected: expected === undefined ? null : Math.round(expected * 1000) / 1000,
    created_at: times.createdAt,
    updated_at: times.updatedAt,
    history,
  }
}

export function writeCursor({ createdAt, id }: FeedbackCursor): string {
  return Buffer.from(`${createdAt}/${id}`).toString('base64url')
}

/** @throws {HttpError} invalid_field, naming the parameter */
export function readFilter(query: Readonly<Record<string, unknown>>): FeedbackFilter {
  for (const [name, value] of Object.entries(query)) {
    if (!FILTERS.includes(name)) throw wrong(name, `one of ${FILTERS.join(', ')}`)
    if (typeof value !== 'string' || value === '') throw wrong(name, 'given once, and not be empty')
  }
  const given = query as Record<string, string | undefined>
  const filter: FeedbackFilter = { limit: readLimit(given.limit) }
  for (const name of ['since', 'until'] as const) {
    const value = given[name]
    if (value !== undefined) filter[name] = readTime(name, value)
  }
  for (const name of ['rating', 'source', 'state'] as const) {
    const value = given[name]
    if (value === undefined) continue
    const choices: readonly string[] = CHOICES[name]
    if (!choices.includes(value)) throw wrong(name, `one of ${choices.join(', ')}`)
    filter[name] = value
  }
  if (given.domain !== undefined) filter.domain = given.domain
  if (given.model !== undefined) filter.model = given.model
  if (given.cursor !== undefined) filter.cursor = readCursor(given.cursor)
  return filter
}

function readLimit(text = String(DEFAULT_PAGE)): number {
  const limit = Number(text)
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw wrong('limit', `a whole number from 1 to ${MAX_PAGE}`)
  }
  return limit
}

/** Unix seconds, or a date as ISO 8601 has it. */
function readTime(name: string, text: string): number {
  // What else Date.parse can make something of, as -1, is no date to anybody.
  const date = /^\d{4}-/.test(text) ? text : ''
  const time = /^\d{1,12}$/.test(text) ? Number(text) : Math.floor(Date.parse(date) / 1000)
  if (!Number.isSafeInteger(time) || time < 0) throw wrong(name, 'Unix seconds or a date like 2026-01-31T12:00:00Z')
  return time
}

function readCursor(text: string): FeedbackCursor {
  const plain = text.length <= MAX_CURSOR_CHARS ? Buffer.from(text, 'base64url').toString() : ''
  const [, createdAt, id] = /^(\d{1,12})\/([\w-]+)$/.exec(plain) ?? []
  if (createdAt === undefined || id === undefined) throw wrong('cursor', 'the one that an earlier page gave')
  return { createdAt: Number(createdAt), id }
}

function wrong(name: string, expected: string): HttpError {
  return new HttpError('invalid_field', `${name} must be ${expected}`, { field: name })
}
