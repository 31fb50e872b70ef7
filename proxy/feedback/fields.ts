/** Which field of which system means what: the one table from their names to our slots; docs/feedback.md explains it. */
import type { CorrectionType } from '../../router/outcome.ts'
import { HttpError } from '../errors.ts'
import type { Source } from './opinion.ts'
import {
  readBoolean,
  readCorrectionType,
  readDocument,
  readId,
  readMetric,
  readObject,
  readRating,
  readReceipt,
  readScore,
  readSource,
  readTags,
  readText,
  wrong,
} from './words.ts'

/** Which answer is meant: by an id of ours, or by the server's own. */
export interface AnswerName {
  kind: 'request' | 'completion'
  id: string
}

/** What a body may say, whatever it calls it. */
export interface Slots {
  receipt: string
  answer: AnswerName
  /** A coarser name, which counts only where there is no finer one. */
  trace: AnswerName
  rating: 'up' | 'down' | null
  score: number
  /** A verdict whose meaning hangs on `metric` and `dataType`. */
  value: unknown
  metric: string
  dataType: string
  correction: string
  correctionType: CorrectionType
  comment: string
  source: Source
  tags: string[]
  idempotencyKey: string
}

export type Note = <S extends keyof Slots>(slot: S, value: Slots[S], path: string) => void
type Read = (value: unknown, path: string, note: Note) => void

const DATA_TYPES = ['NUMERIC', 'BOOLEAN', 'CATEGORICAL', 'TEXT']

/** Every id that we make starts so, whatever field somebody puts it into. */
const OWN_ID = /^qis-/

const into =
  <S extends keyof Slots>(slot: S, read: (value: unknown, path: string) => Slots[S] | undefined): Read =>
  (value, path, note) => {
    const said = read(value, path)
    if (said !== undefined) note(slot, said, path)
  }
const answer = into('answer', (value, path) => nameOf(readId(value, path)))
const rating = into('rating', (value, path) => (value === null ? null : readRating(value, path)))
const thumbUp = into('rating', (value, path) => (readBoolean(value, path) ? 'up' : 'down'))
const correction = into('correction', readDocument)
const nonEmpty = (value: unknown, path: string) => readText(value, path) || undefined
const comment = into('comment', nonEmpty)
const metric = into('metric', readMetric)
const source = into('source', readSource)
const within =
  (members: Readonly<Record<string, Read>>): Read =>
  (value, path, note) => {
    for (const [name, member] of Object.entries(readObject(value, path))) {
      const read = Object.hasOwn(members, name) ? members[name] : undefined
      if (read && member !== null) read(member, `${path}.${name}`, note)
    }
  }
/** Taken, and not needed: it says nothing of how good the answer was. */
const passed: Read = () => undefined
const refused =
  (reason: string): Read =>
  (_value, path) => {
    throw new HttpError('invalid_field', `${path}: ${reason}`, { field: path })
  }

const readCorrection: Read = (value, path, note) => {
  if (typeof value === 'string') return correction(value, path, note)
  const { type, text, ...rest } = readObject(value, path)
  const [unknown] = Object.keys(rest)
  // LangSmith's corrections are documents of any shape.
  if (type === undefined && text === undefined && unknown !== undefined)
    return note('correction', readDocument(value, path), path)
  if (unknown !== undefined) refused('is no field of a correction')(value, `${path}.${unknown}`, note)
  if (type === undefined && text === undefined) throw wrong(path, 'a text, or an object with a type', value)
  if (type !== undefined) note('correctionType', readCorrectionType(type, `${path}.type`), `${path}.type`)
  if (text !== undefined && text !== null) note('correction', readText(text, `${path}.text`), `${path}.text`)
}

const readDataType = (value: unknown, path: string) => {
  const type = DATA_TYPES.find(one => one === value)
  if (type === undefined) throw wrong(path, `one of ${DATA_TYPES.join(', ')}`, value)
  return type
}

const readDryRun: Read = (value, path) => {
  if (readBoolean(value, path)) throw new HttpError('invalid_field', 'there are no dry runs here', { field: path })
}

/** Open WebUI rates in detail from 1 to 10. */
const readTen = (value: unknown, path: string) => {
  if (typeof value !== 'number' || !(value >= 1 && value <= 10)) throw wrong(path, 'a number from 1 to 10', value)
  return (value - 1) / 9
}

const table: Readonly<Record<string, Read>> = {
  // Ours
  request_id: into('answer', (value, path): AnswerName => ({ kind: 'request', id: readId(value, path) })),
  completion_id: into('answer', (value, path): AnswerName => ({ kind: 'completion', id: readId(value, path) })),
  receipt: into('receipt', readReceipt),
  rating,
  score: into('score', readScore),
  correction: readCorrection,
  comment,
  source,
  tags: (value, path, note) =>
    Array.isArray(value) ? note('tags', readTags(value, path), path) : readObject(value, path),
  idempotency_key: into('idempotencyKey', readId),
  // Ids, as clients of OpenAI's API, in either case
  requestId: answer,
  completionId: answer,
  response_id: answer,
  responseId: answer,
  // TensorZero
  inference_id: answer,
  metric_name: metric,
  value: (value, path, note) => note('value', value, path),
  dryrun: readDryRun,
  episode_id: refused('feedback is on one answer: send inference_id'),
  // Langfuse
  traceId: into('trace', (value, path) => nameOf(readId(value, path))),
  trace_id: into('trace', (value, path) => nameOf(readId(value, path))),
  observationId: answer,
  observation_id: answer,
  name: metric,
  dataType: into('dataType', readDataType),
  id: passed,
  metadata: passed,
  environment: passed,
  configId: passed,
  queueId: passed,
  sessionId: passed,
  datasetRunId: passed,
  timestamp: passed,
  // LangSmith
  run_id: answer,
  key: metric,
  feedback_source: within({
    type: into('source', value => (value === 'model' || value === 'auto_eval' ? 'evaluator' : undefined)),
  }),
  created_at: passed,
  modified_at: passed,
  session_id: passed,
  start_time: passed,
  source_info: passed,
  feedback_config: passed,
  feedback_group_id: passed,
  comparative_experiment_id: passed,
  extra: passed,
  error: passed,
  // Helicone
  helicone_id: answer,
  'helicone-id': answer,
  heliconeId: answer,
  // Dify
  message_id: answer,
  messageId: answer,
  content: comment,
  user: passed,
  // Open WebUI
  type: (value, path) => {
    if (value !== 'rating') throw wrong(path, '"rating"', value)
  },
  data: within({
    rating,
    comment,
    tags: into('tags', readTags),
    details: within({ rating: into('score', readTen) }),
  }),
  meta: within({ message_id: answer }),
  snapshot: passed,
  user_id: passed,
  version: passed,
  updated_at: passed,
  // Thumbs and corrections as others name them
  thumbs_up: thumbUp,
  thumbsUp: thumbUp,
  good_response: thumbUp,
  desired_response: correction,
}
/** Not the object itself, which would know `constructor` too. */
const fields: ReadonlyMap<string, Read> = new Map(Object.entries(table))

/** For documents to be checked against. */
export const fieldNames: readonly string[] = [...fields.keys()]

/** Whether this field tells which answer is meant, and may stand in the URL's query too, where some systems put it. */
export function mayStandInQuery(name: string): boolean {
  return fields.get(name) === answer || name === 'request_id' || name === 'completion_id'
}

/** @throws {HttpError} invalid_field for a field that is unknown, or whose value cannot be */
export function readField(name: string, value: unknown, path: string, note: Note): void {
  const read = fields.get(name)
  if (!read) refused('is not a field of feedback')(value, path, note)
  // Many clients send null for what they leave out; a rating of null takes back.
  else if (value !== null || read === rating) read(value, path, note)
}

function nameOf(id: string): AnswerName {
  return { kind: OWN_ID.test(id) ? 'request' : 'completion', id }
}
