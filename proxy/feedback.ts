/** Takes what people and programs say of an answer, keeps it durably, and lets the router learn from it. */
import { randomBytes } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { type CorrectionType, correctionTypes, type Observer } from '../router/outcome.ts'
import type { Router } from '../router/router.ts'
import type { AnswerIndex, AnswerRecord } from './answer-index.ts'
import { HttpError } from './errors.ts'
import type { FeedbackStore, StoredFeedback } from './feedback-store.ts'
import type { Receipts } from './receipts.ts'

const MAX_TEXT = 20_000
const MAX_ID = 200

const ratings: ReadonlyMap<unknown, 'up' | 'down'> = new Map<unknown, 'up' | 'down'>([
  ...['up', 'like', 'thumbs_up', 'thumbsUp', 'good', 'positive', true, 1].map(word => [word, 'up'] as const),
  ...['down', 'dislike', 'thumbs_down', 'thumbsDown', 'bad', 'negative', false, -1, 0].map(
    word => [word, 'down'] as const,
  ),
])

const CorrectionKind = Type.Unsafe<CorrectionType>(Type.Union(correctionTypes.map(type => Type.Literal(type))))
const Text = Type.String({ maxLength: MAX_TEXT })
const Id = Type.String({ minLength: 1, maxLength: MAX_ID })

export const FeedbackBody = Type.Object(
  {
    request_id: Type.Optional(Id),
    receipt: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
    completion_id: Type.Optional(Id),
    rating: Type.Optional(Type.Union([Type.String(), Type.Boolean(), Type.Number(), Type.Null()])),
    score: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    correction: Type.Optional(
      Type.Union([
        Text,
        Type.Object({ type: CorrectionKind, text: Type.Optional(Text) }, { additionalProperties: false }),
      ]),
    ),
    comment: Type.Optional(Text),
    source: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('app'), Type.Literal('evaluator')])),
    idempotency_key: Type.Optional(Id),
  },
  { additionalProperties: false },
)
type FeedbackBody = Static<typeof FeedbackBody>
const bodyCheck = TypeCompiler.Compile(FeedbackBody)

export type FeedbackStatus = 'accepted' | 'updated' | 'revoked' | 'duplicate'
export interface FeedbackResult {
  feedback_id: string
  status: FeedbackStatus
}

type Source = NonNullable<FeedbackBody['source']>
/** A person's word, a program's guess from what people do, an evaluator's verdict. */
const OBSERVER: Record<Source, Observer> = { user: 'h', app: 'i', evaluator: 'e' }

export interface FeedbackComponents {
  answers: AnswerIndex
  receipts: Receipts
  store: FeedbackStore
  router: Pick<Router, 'learn' | 'withdraw'>
  onTaken?(rating: string, status: FeedbackStatus): void
  clock?: () => number
}

export interface Feedback {
  /**
   * @param body of any type; what is wrong with it is said with the field's path
   * @param idempotencyKey the header, when there is one
   * @throws {HttpError} invalid_field, unknown_id, ambiguous_id, receipt_invalid, receipt_expired; DatabaseError
   */
  take(body: unknown, idempotencyKey?: string): Promise<FeedbackResult>
}

export function createFeedback(components: FeedbackComponents): Feedback {
  const { answers, receipts, store, router, onTaken, clock = Date.now } = components
  /** Feedback on one answer is taken one after another; bounded by the requests in flight. */
  const busy = new Map<string, Promise<unknown>>()

  async function inTurn<T>(requestId: string, work: () => Promise<T>): Promise<T> {
    const turn = (busy.get(requestId) ?? Promise.resolve()).then(work, work)
    busy.set(requestId, turn)
    try {
      return await turn
    } finally {
      if (busy.get(requestId) === turn) busy.delete(requestId)
    }
  }

  async function resolve({ request_id, receipt, completion_id }: FeedbackBody): Promise<AnswerRecord> {
    if (receipt !== undefined) {
      const sealed = receipts.open(receipt)
      // The index knows more, once the answer has ended; but a receipt must do without it.
      return (await answers.byRequestId(sealed.requestId).catch(() => undefined)) ?? sealed
    }
    if (request_id !== undefined) {
      const record = await answers.byRequestId(request_id)
      if (record) return record
      throw new HttpError('unknown_id', `no answer is known by this id: ${request_id}`, { field: 'request_id' })
    }
    const found = await answers.byCompletionId(completion_id ?? '')
    const [record] = found
    if (!record) {
      throw new HttpError('unknown_id', `no answer is known by this id: ${completion_id}`, { field: 'completion_id' })
    }
    if (found.length > 1) {
      throw new HttpError(
        'ambiguous_id',
        'several answers have this id; send x-qis-request-id or x-qis-receipt instead',
        {
          field: 'completion_id',
        },
      )
    }
    return record
  }

  async function take(
    news: Said,
    record: AnswerRecord,
    source: Source,
    key: string | undefined,
  ): Promise<FeedbackResult> {
    const { requestId } = record
    const held = await store.find(requestId, source)
    const said = merge(held?.said, news)
    const repeated = held && ((key !== undefined && key === held.idempotencyKey) || sameAs(held.said, said))
    if (repeated) return { feedback_id: held.id, status: 'duplicate' }

    const signal = signalOf(said)
    const verdictIsNew = !held || signal !== signalOf(held.said) || said.correction?.type !== held.said.correction?.type
    if (verdictIsNew && signal === undefined) {
      await router.withdraw(requestId)
    } else if (verdictIsNew && signal !== undefined) {
      const { completionId: _, time: __, ...known } = record
      await router.learn({
        ...known,
        signal,
        observer: OBSERVER[source],
        ...(said.correction && { correction: said.correction.type }),
      })
    }
    // Kept last: a crash before this makes the caller try again, and learning the same twice changes nothing.
    const now = Math.floor(clock() / 1000)
    const feedback: StoredFeedback = {
      id: held?.id ?? `fb-${randomBytes(12).toString('hex')}`,
      requestId,
      source,
      said,
      createdAt: held?.createdAt ?? now,
      updatedAt: now,
      ...(key !== undefined && { idempotencyKey: key }),
    }
    await store.put(feedback)
    const status = said.rating === null ? 'revoked' : held ? 'updated' : 'accepted'
    return { feedback_id: feedback.id, status }
  }

  return {
    async take(body, idempotencyKey) {
      const checked = check(body)
      const record = await resolve(checked)
      const said = sayingOf(checked)
      const source = checked.source ?? 'user'
      const result = await inTurn(record.requestId, () =>
        take(said, record, source, idempotencyKey ?? checked.idempotency_key),
      )
      onTaken?.(said.rating ?? (said.rating === null ? 'revoked' : 'none'), result.status)
      return result
    },
  }
}

/** What was said, in one spelling. */
export interface Said {
  /** null takes back what was said before. */
  rating?: 'up' | 'down' | null
  score?: number
  correction?: { type: CorrectionType; text?: string }
  comment?: string
}

function sayingOf(body: FeedbackBody): Said {
  const { rating, score, correction, comment } = body
  return {
    ...(rating !== undefined && { rating: readRating(rating) }),
    ...(score !== undefined && { score }),
    ...(correction !== undefined && {
      correction: typeof correction === 'string' ? { type: 'other', text: correction } : correction,
    }),
    ...(comment !== undefined && { comment }),
  }
}

/** Later words replace earlier ones of their kind; a new verdict replaces the old one, whether rating or score. */
function merge(held: Said | undefined, news: Said): Said {
  if (!held || news.rating === null) return news
  const { rating, score, correction, comment } = held
  const newVerdict = news.rating !== undefined || news.score !== undefined
  return {
    ...(!newVerdict && rating !== null && rating !== undefined && { rating }),
    ...(!newVerdict && score !== undefined && { score }),
    ...(news.rating !== 'up' && correction && { correction }),
    ...(comment !== undefined && { comment }),
    ...news,
  }
}

/** A score is the finest word, then a rating; a correction alone says that the answer was wrong. */
function signalOf({ rating, score, correction }: Said): number | undefined {
  if (rating === null) return undefined
  if (score !== undefined) return score
  if (rating !== undefined) return rating === 'up' ? 1 : 0
  return correction ? 0 : undefined
}

function sameAs(a: Said, b: Said): boolean {
  const flat = ({ rating, score, correction, comment }: Said) =>
    JSON.stringify([rating, score, correction?.type, correction?.text, comment])
  return flat(a) === flat(b)
}

function readRating(rating: FeedbackBody['rating']): 'up' | 'down' | null {
  if (rating === null) return null
  const known = ratings.get(rating)
  if (known) return known
  throw new HttpError('invalid_field', `rating must be "up", "down" or null, not ${JSON.stringify(rating)}`, {
    field: 'rating',
  })
}

function check(body: unknown): FeedbackBody {
  if (!bodyCheck.Check(body)) {
    const fault = bodyCheck.Errors(body).First()
    const field = fault?.path.slice(1).replaceAll('/', '.') ?? ''
    throw new HttpError('invalid_field', `${field || 'the body'}: ${fault?.message ?? 'is not valid'}`, { field })
  }
  const targets = (['request_id', 'receipt', 'completion_id'] as const).filter(name => body[name] !== undefined)
  if (targets.length !== 1) {
    throw new HttpError(
      'invalid_field',
      'exactly one of request_id, receipt and completion_id must say which answer is meant',
      {
        field: targets[1] ?? 'request_id',
      },
    )
  }
  const { rating, score, correction, comment } = body
  if (rating === undefined && score === undefined && correction === undefined && comment === undefined) {
    throw new HttpError('invalid_field', 'one of rating, score, correction and comment is needed', { field: 'rating' })
  }
  return body
}
