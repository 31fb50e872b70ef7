/** Takes what people and programs say of answers, keeps it durably, and lets the router learn what stands. */
import type { Router } from '../../router/router.ts'
import type { Logger } from '../../router/telemetry.ts'
import type { AnswerIndex, AnswerRecord } from '../answer-index.ts'
import { HttpError } from '../errors.ts'
import type { Receipts } from '../receipts.ts'
import type { Evaluation, Telemetry } from '../telemetry.ts'
import { type FoundAnswer, findAnswers } from './find-answer.ts'
import { type FeedbackResult, type Job, openGroup, type Place, type Reach, type SayJob, type Turn } from './group.ts'
import { createGroups } from './in-groups.ts'
import { teach } from './learning.ts'
import { ratingOf, signalOf } from './opinion.ts'
import type { FeedbackFilter, FeedbackStore, StoredFeedback } from './store.ts'

export interface FeedbackComponents {
  answers: AnswerIndex
  receipts: Receipts
  store: FeedbackStore
  router: Pick<Router, 'learn' | 'withdraw' | 'calibrated'>
  logger: Pick<Logger, 'warn'>
  onTaken?(rating: string, status: string, source: string): void
  telemetry?: Pick<Telemetry, 'evaluated'> | undefined
  /** Told what stands of an answer, 0..1, once the router knows; undefined when nothing does any more. */
  onStanding?(answer: AnswerRecord, signal: number | undefined): Promise<void>
  clock?: () => number
}

export interface FeedbackOptions {
  /** Whether the texts of corrections are kept. @default false */
  readonly keepCorrections?: boolean
  /** How long feedback waits for the end of its answer, seconds. @default 3600 */
  pendingS?: number
}

export interface Feedback extends AsyncDisposable {
  /** Takes up what an earlier run left waiting. */
  start(): Promise<void>
  /**
   * Does all jobs in one go, in their order; each has a result or an error of its own.
   * @throws {DatabaseError} when nothing could be kept
   */
  take(jobs: readonly Job[]): Promise<(FeedbackResult | HttpError)[]>
  find(id: string): Promise<StoredFeedback | undefined>
  /** All that was said of these answers. */
  of(requestIds: readonly string[]): Promise<StoredFeedback[]>
  /** What is to be expected of an answer, its own confidence included, 0..1; undefined when nothing was known of it. */
  expected(answer: AnswerRecord | undefined): number | undefined
  list(filter: FeedbackFilter): ReturnType<FeedbackStore['list']>
}

const MAX_PENDING = 10_000
const SWEEP_MS = 30_000
/** Before the completion id that a pending feedback waits for; no request id begins so. */
const WAITS_FOR = '?'

export function createFeedback(components: FeedbackComponents, options: FeedbackOptions = {}): Feedback {
  const { answers, receipts, store, router, logger, onTaken, onStanding, telemetry, clock = Date.now } = components
  const { pendingS = 3600 } = options
  const now = () => Math.floor(clock() / 1000)
  const groups = createGroups(takeGroup)
  /** No more than answers end at a time. */
  const joining = new Set<Promise<void>>()

  /** A few calls to the database for all; what is learnt comes first, so that a crash in between loses nothing. */
  async function takeGroup(jobs: readonly Job[]): Promise<(FeedbackResult | HttpError)[]> {
    const places = await findPlaces(jobs)
    const requestIds = new Set(places.flatMap(place => (place instanceof HttpError ? [] : [place.requestId])))
    const keys = jobs.flatMap(job => (job.kind === 'say' && job.once ? [job.once.key] : []))
    const [rows, replays] = await Promise.all([store.byRequest([...requestIds]), store.replays(keys)])
    const group = openGroup(rows, replays, { now: now(), keepTexts: options.keepCorrections ?? false })
    const results = jobs.map((job, at) => {
      const place = places[at] as Place | HttpError
      return place instanceof HttpError ? place : group.take(job, place)
    })
    await Promise.all(group.turns().map(settle))
    const { put, drop } = group
    const newReplays = group.newReplays()
    if (put.size + drop.size + newReplays.length > 0) {
      await store.write({ put: [...put.values()], drop: [...drop], replays: newReplays }, now())
    }
    await awaitAnswers([...put.values()].filter(({ state }) => state === 'pending'))
    count(results, put)
    return results
  }

  async function settle(turn: Turn): Promise<void> {
    await teach(router, turn)
    const answer = turn.next?.answer ?? turn.old?.answer
    if (answer) await onStanding?.(answer, turn.next && signalOf(turn.next.said))
  }

  function count(results: readonly (FeedbackResult | HttpError)[], put: ReadonlyMap<string, StoredFeedback>): void {
    for (const result of results) {
      if (result instanceof HttpError) continue
      const kept = put.get(result.feedback_id)
      onTaken?.(kept ? ratingOf(kept.said) : 'none', result.status, kept?.source ?? 'none')
      if (kept) telemetry?.evaluated(evaluationOf(kept, result.status))
    }
  }

  async function findPlaces(jobs: readonly Job[]): Promise<(Place | HttpError)[]> {
    const says = jobs.filter(job => job.kind === 'say')
    const ids = jobs.flatMap(job => ('id' in job ? [job.id] : []))
    const [found, held] = await Promise.all([findAnswers(says, { answers, receipts }, now()), store.byId(ids)])
    const answerOf = new Map(says.map((job, at) => [job, found[at] as FoundAnswer]))
    const feedbackOf = new Map(held.map(feedback => [feedback.id, feedback]))
    return jobs.map(job => {
      if (job.kind === 'say') return placeOf(job, answerOf.get(job) as FoundAnswer)
      if (job.kind === 'guess') return { requestId: job.record.requestId, source: 'implicit', record: job.record }
      const feedback = feedbackOf.get(job.id)
      const hidden = job.kind === 'change' && feedback !== undefined && !mayTouch(feedback, job.reach)
      if (!feedback || hidden) return new HttpError('unknown_id', `there is no feedback ${job.id}`, { field: 'id' })
      const record = job.kind === 'join' ? job.record : feedback.answer
      return { requestId: record?.requestId ?? feedback.requestId, source: feedback.source, record, held: feedback }
    })
  }

  async function awaitAnswers(pending: readonly StoredFeedback[]): Promise<void> {
    const completionIds = [...new Set(pending.map(({ requestId }) => requestId.slice(WAITS_FOR.length)))]
    for (const completionId of completionIds) answers.expect(completionId, record => join(completionId, record))
    // Some may have ended since they were looked for.
    for (const [completionId, [record, another]] of await answers.byCompletionId(completionIds)) {
      if (record && !another) join(completionId, record)
    }
  }

  /** All that waits for this answer, of whichever source: it is expected once, and tells once that it has ended. */
  function join(completionId: string, record: AnswerRecord): void {
    const joined = store
      .byRequest([WAITS_FOR + completionId])
      .then(async waiting => {
        if (waiting.length > 0) await groups.add(waiting.map(({ id }) => ({ kind: 'join', id, record })))
      })
      .catch(error => {
        logger.warn({ err: error }, 'feedback that waited for its answer could not be joined to it')
      })
      .finally(() => joining.delete(joined))
    joining.add(joined)
  }

  const sweep = setInterval(() => {
    store.expirePending(now() - pendingS).catch(error => {
      logger.warn({ err: error }, 'feedback that has waited too long could not be given up')
    })
  }, SWEEP_MS).unref()

  return {
    async start() {
      await awaitAnswers(await store.pending(MAX_PENDING))
    },
    take: jobs => groups.add(jobs),
    of: requestIds => store.byRequest([...new Set(requestIds)]),
    async find(id) {
      const [feedback] = await store.byId([id])
      return feedback
    },
    expected(answer) {
      if (answer?.expected === undefined) return undefined
      return router.calibrated(answer.model, answer.expected, answer.confidence)
    },
    list: filter => store.list(filter),
    async [Symbol.asyncDispose]() {
      clearInterval(sweep)
      await Promise.all(joining)
      await groups.settled()
    },
  }
}

/** @param reach undefined for everything */
export function mayTouch({ requestId, source }: StoredFeedback, reach: Reach | undefined): boolean {
  if (reach === undefined) return true
  const { requestId: only = requestId, sources } = reach
  return only === requestId && (sources === undefined || sources.includes(source))
}

function placeOf({ source }: SayJob, answer: FoundAnswer): Place | HttpError {
  if (answer instanceof HttpError) return answer
  if ('await' in answer) return { requestId: WAITS_FOR + answer.await, source, record: undefined }
  return { requestId: answer.record.requestId, source, record: answer.record }
}

function evaluationOf({ answer, requestId, source, said }: StoredFeedback, status: string): Evaluation {
  const waitsFor = requestId.startsWith(WAITS_FOR) ? requestId.slice(WAITS_FOR.length) : undefined
  return {
    requestId: answer?.requestId,
    responseId: answer?.completionId ?? waitsFor,
    source,
    rating: ratingOf(said),
    signal: signalOf(said),
    status,
  }
}
