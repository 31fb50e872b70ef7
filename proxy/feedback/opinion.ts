/** What people and programs say of an answer: reads it from a request's body, and puts several sayings together. */
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { type CorrectionType, correctionTypes } from '../../router/outcome.ts'
import { HttpError } from '../errors.ts'

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
export type FeedbackBody = Static<typeof FeedbackBody>
const bodyCheck = TypeCompiler.Compile(FeedbackBody)

/** What was said, in one spelling. */
export interface Said {
  /** null takes back what was said before. */
  rating?: 'up' | 'down' | null
  score?: number
  correction?: { type: CorrectionType; text?: string }
  comment?: string
}

export function sayingOf(body: FeedbackBody): Said {
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
export function merge(held: Said | undefined, news: Said): Said {
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
export function signalOf({ rating, score, correction }: Said): number | undefined {
  if (rating === null) return undefined
  if (score !== undefined) return score
  if (rating !== undefined) return rating === 'up' ? 1 : 0
  return correction ? 0 : undefined
}

export function sameAs(a: Said, b: Said): boolean {
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

export function readFeedbackBody(body: unknown): FeedbackBody {
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
