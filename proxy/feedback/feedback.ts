/** Takes what people and programs say of an answer, keeps it durably, and lets the router learn from it. */
import { randomBytes } from 'node:crypto'
import type { Observer } from '../../router/outcome.ts'
import type { Router } from '../../router/router.ts'
import type { AnswerIndex, AnswerRecord } from '../answer-index.ts'
import { HttpError } from '../errors.ts'
import type { Receipts } from '../receipts.ts'
import { type FeedbackBody, merge, readFeedbackBody, type Said, sameAs, sayingOf, signalOf } from './opinion.ts'
import type { FeedbackStore, StoredFeedback } from './store.ts'

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
      const checked = readFeedbackBody(body)
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
