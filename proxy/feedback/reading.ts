/** Reads one feedback from a body of any shape: what it says, of which answer, and whether its fields agree. */
import type { CorrectionType } from '../../router/outcome.ts'
import { HttpError } from '../errors.ts'
import { type AnswerName, mayStandInQuery, type Note, readField, type Slots } from './fields.ts'
import type { Said, Source } from './opinion.ts'
import { asRating, readDocument, readObject, readRating, readScore, readText, wrong } from './words.ts'

export type Target = ({ kind: 'receipt'; token: string } | AnswerName) & { path: string }

/** As read; what kind of correction it is, and whether its text is kept, is decided once the answer is known. */
export interface Saying extends Omit<Said, 'correction'> {
  correction?: { type?: CorrectionType; text?: string }
}

export interface Reading {
  /** Undefined where the URL says which feedback is meant. */
  target: Target | undefined
  saying: Saying
  source: Source | undefined
  /** Of the field that named the source. */
  sourcePath: string
  idempotencyKey: string | undefined
}

export interface ReadOptions {
  /** Put before every path, as `[3].`. */
  at?: string
  /** Of the URL: some systems name the answer there. */
  query?: Readonly<Record<string, unknown>>
  /** False where the URL names the feedback. */
  needsTarget?: boolean
}

type Found = { [S in keyof Slots]?: { value: Slots[S]; path: string } }

/** @throws {HttpError} invalid_field, naming the field at fault, or both when two contradict each other */
export function readFeedback(body: unknown, { at = '', query = {}, needsTarget = true }: ReadOptions = {}): Reading {
  const found: Found = {}
  const note: Note = (slot, value, path) => {
    const held = found[slot]
    if (!held) Object.assign(found, { [slot]: { value, path } })
    // Told apart by their text, since some are objects.
    else if (JSON.stringify(held.value) !== JSON.stringify(value)) throw contradiction(held.path, path)
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new HttpError('invalid_field', `${at || 'the body'} must be an object`, { field: at.replace(/\.$/, '') })
  }
  for (const [name, value] of Object.entries(body)) readField(name, value, at + name, note)
  for (const [name, value] of Object.entries(query)) {
    if (!mayStandInQuery(name)) throw wrong(`?${name}`, 'in the body', value)
    readField(name, value, `?${name}`, note)
  }
  readValue(found, note)
  const saying = sayingOf(found)
  checkAgreement(found, saying, at)
  return {
    target: needsTarget ? targetOf(found, at) : noTarget(found),
    saying,
    source: found.source?.value,
    sourcePath: found.source?.path ?? `${at}source`,
    idempotencyKey: found.idempotencyKey?.value,
  }
}

/** A batch: an array, or an object that holds one; Langfuse wraps each item once more. Undefined for a single feedback. */
export function batchOf(body: unknown): { items: readonly unknown[]; path: string } | undefined {
  if (Array.isArray(body)) return { items: body, path: '' }
  if (typeof body !== 'object' || body === null || !('batch' in body)) return undefined
  const { batch, ...rest } = body
  const [other] = Object.keys(rest).filter(name => name !== 'metadata')
  if (other !== undefined) throw new HttpError('invalid_field', `${other} does not belong to a batch`, { field: other })
  if (!Array.isArray(batch)) throw wrong('batch', 'an array', batch)
  return { items: batch, path: 'batch' }
}

/** @param path of the item, as `[3]` */
export function readBatchItem(item: unknown, path: string): Reading {
  const isEvent = typeof item === 'object' && item !== null && 'body' in item
  if (!isEvent) return readFeedback(item, { at: `${path}.` })
  const { type, body } = readObject(item, path)
  if (type !== 'score-create') throw wrong(`${path}.type`, '"score-create"', type)
  return readFeedback(body, { at: `${path}.body.` })
}

/** TensorZero's reserved names and Langfuse's types decide what a `value` is; else its own type does. */
function readValue({ value: found, metric, dataType, score }: Found, note: Note): void {
  if (!found) return
  const { value, path } = found
  const type = dataType?.value
  const word = asRating(value)
  if (metric?.value === 'comment' || type === 'TEXT') note('comment', readText(value, path), path)
  else if (metric?.value === 'demonstration') note('correction', readDocument(value, path), path)
  // LangSmith's `value` only shows what the score beside it says.
  else if (score && word === undefined && typeof value !== 'number') return
  else if (type === 'BOOLEAN' && word === undefined) throw wrong(path, '0 or 1', value)
  else if (typeof value === 'number' && type !== 'CATEGORICAL') note('score', readScore(value, path), path)
  else if (metric || score) note('score', readRating(value, path) === 'up' ? 1 : 0, path)
  else note('rating', readRating(value, path), path)
}

function sayingOf({ rating, score, metric, correction, correctionType, comment, tags }: Found): Saying {
  return {
    ...(rating && { rating: rating.value }),
    ...(score && (metric ? { scores: { [metric.value]: score.value } } : { score: score.value })),
    ...(comment && { comment: comment.value }),
    ...(tags && { tags: tags.value }),
    ...((correction || correctionType) && {
      correction: {
        ...(correctionType && { type: correctionType.value }),
        ...(correction && { text: correction.value }),
      },
    }),
  }
}

function checkAgreement(found: Found, { rating, score, ...more }: Saying, at: string): void {
  const { scores, correction, comment, tags } = more
  if (rating === null) {
    const other = found.score ?? found.correction ?? found.correctionType
    if (other) throw contradiction(found.rating?.path ?? '', other.path)
  }
  if ((rating === 'up' && (score ?? 1) < 0.5) || (rating === 'down' && (score ?? 0) > 0.5)) {
    throw contradiction(found.rating?.path ?? '', found.score?.path ?? '')
  }
  if ([rating, score, scores, correction, comment, tags].every(part => part === undefined)) {
    throw new HttpError('invalid_field', 'one of rating, score, value, correction and comment is needed', {
      field: `${at}rating`,
    })
  }
}

function targetOf({ receipt, answer, trace }: Found, at: string): Target {
  if (receipt && answer) throw twoTargets(receipt.path, answer.path)
  if (receipt) return { kind: 'receipt', token: receipt.value, path: receipt.path }
  const named = answer ?? trace
  if (named) return { ...named.value, path: named.path }
  throw new HttpError('invalid_field', 'request_id, receipt or completion_id must say which answer is meant', {
    field: `${at}request_id`,
  })
}

function noTarget({ receipt, answer }: Found): undefined {
  const named = receipt ?? answer
  if (named) throw new HttpError('invalid_field', `${named.path}: the URL says what is meant`, { field: named.path })
}

function twoTargets(one: string, other: string): HttpError {
  return new HttpError('invalid_field', `${one} and ${other} both say which answer is meant; send one`, {
    field: `${one}, ${other}`,
  })
}

function contradiction(one: string, other: string): HttpError {
  return new HttpError('contradiction', `${one} and ${other} contradict each other`, { field: `${one}, ${other}` })
}
