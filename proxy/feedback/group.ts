/** Works out what a group of feedback changes, one after another on what the store holds, without touching the store. */
import { randomBytes } from 'node:crypto'
import type { AnswerRecord } from '../answer-index.ts'
import { HttpError } from '../errors.ts'
import { reconsider, settle } from './classify.ts'
import { MAX_SCORES, merge, type Said, type Source, sameAs, standing } from './opinion.ts'
import type { Saying, Target } from './reading.ts'
import type { Change, FeedbackState, FeedbackStatus, Replay, StoredFeedback } from './store.ts'

export interface FeedbackResult {
  feedback_id: string
  status: FeedbackStatus
}

/** A request's key and the digest of its body: the same key with the same body is the same request. */
export interface Idempotency {
  key: string
  body: string
}

export interface SayJob {
  /** Adds to what was said of an answer before. */
  kind: 'say'
  target: Target
  saying: Saying
  source: Source
  /** Who gives it, as `callers.ts` spells it. */
  caller?: string | undefined
  once?: Idempotency | undefined
}
/** Which feedback a caller may see and change. */
export interface Reach {
  /** On this answer alone. */
  requestId?: string
  /** Of these alone; undefined for all. */
  sources: readonly Source[] | undefined
}
export interface ChangeJob {
  /** Puts something else in the place of one feedback; without a saying, takes it back and forgets its texts. */
  kind: 'change'
  id: string
  saying: Saying | undefined
  /** Only if it is within this. */
  reach?: Reach | undefined
}
export interface JoinJob {
  /** The answer that a feedback waited for has ended. */
  kind: 'join'
  id: string
  record: AnswerRecord
}
export interface GuessJob {
  /** What the sidecar itself makes of an answer. */
  kind: 'guess'
  record: AnswerRecord
  saying: Saying
}
export type Job = SayJob | ChangeJob | JoinJob | GuessJob

/** Where one job's feedback has its place. */
export interface Place {
  requestId: string
  source: Source
  /** Undefined while its answer is waited for. */
  record: AnswerRecord | undefined
  /** The feedback itself, where the job names it. */
  held?: StoredFeedback
}

/** What stood of an answer, and what stands now. */
export interface Turn {
  requestId: string
  old: StoredFeedback | undefined
  next: StoredFeedback | undefined
}

export interface Group {
  take(job: Job, place: Place): FeedbackResult | HttpError
  /** To be written. */
  readonly put: ReadonlyMap<string, StoredFeedback>
  readonly drop: ReadonlySet<string>
  newReplays(): Replay[]
  turns(): Turn[]
}

const MAX_HISTORY = 32

/**
 * @param rows all that is held of the answers in question
 * @param replays what the keys in question were answered before
 * @param now Unix seconds
 */
export function openGroup(
  rows: readonly StoredFeedback[],
  replays: ReadonlyMap<string, Replay>,
  { now, keepTexts }: { now: number; keepTexts: boolean },
): Group {
  /** By answer and source, as the jobs so far have left it. */
  const sayings = new Map<string, Map<Source, StoredFeedback>>()
  for (const row of rows) of(row.requestId).set(row.source, row)
  const stoodBefore = new Map<string, StoredFeedback | undefined>()
  const put = new Map<string, StoredFeedback>()
  const drop = new Set<string>()
  const newReplays = new Map<string, Replay>()

  function of(requestId: string): Map<Source, StoredFeedback> {
    const held = sayings.get(requestId) ?? new Map<Source, StoredFeedback>()
    sayings.set(requestId, held)
    return held
  }

  function stands(requestId: string): StoredFeedback | undefined {
    return standing([...of(requestId).values()].filter(({ state }) => state === 'kept'))
  }

  /** Puts `said` into its place, with a line in the history. */
  function keep(
    { requestId, source, record }: Place,
    held: StoredFeedback | undefined,
    said: Said,
    { status, state }: { status: Change['status']; state: FeedbackState },
  ): FeedbackResult {
    const change: Change = { at: now, status, said: withoutTexts(said) }
    const feedback: StoredFeedback = {
      id: held?.id ?? `fb-${randomBytes(12).toString('hex')}`,
      requestId,
      source,
      said,
      state,
      ...(record && { answer: record }),
      history: [...(held?.history ?? []), change].slice(-MAX_HISTORY),
      createdAt: held?.createdAt ?? now,
      updatedAt: now,
    }
    if (!stoodBefore.has(requestId)) stoodBefore.set(requestId, stands(requestId))
    of(requestId).set(source, feedback)
    put.set(feedback.id, feedback)
    return { feedback_id: feedback.id, status: status === 'joined' ? 'updated' : status }
  }

  /** The router is told all the same: a crash may have come between what it learnt last and what was kept here. */
  function again(requestId: string, { id }: StoredFeedback): FeedbackResult {
    if (!stoodBefore.has(requestId)) stoodBefore.set(requestId, stands(requestId))
    return { feedback_id: id, status: 'duplicate' }
  }

  function say({ saying }: SayJob | GuessJob, place: Place): FeedbackResult | HttpError {
    const held = of(place.requestId).get(place.source)
    const said = merge(held?.said, settle(saying, place.record?.facts, keepTexts))
    if (Object.keys(said.scores ?? {}).length > MAX_SCORES) {
      return new HttpError('invalid_field', `one answer has at most ${MAX_SCORES} named scores`, { field: 'name' })
    }
    if (held && held.state !== 'expired' && sameAs(held.said, said)) return again(place.requestId, held)
    if (!place.record) return keep(place, held, said, { status: 'pending', state: 'pending' })
    const status = said.rating === null ? 'revoked' : held ? 'updated' : 'accepted'
    return keep(place, held, said, { status, state: 'kept' })
  }

  function change({ saying }: ChangeJob, place: Place): FeedbackResult | HttpError {
    // An earlier job of this group may have changed it.
    const held = of(place.requestId).get(place.source) ?? place.held
    if (!held) return new HttpError('unknown_id', 'there is no such feedback', { field: 'id' })
    const said: Said = saying ? settle(saying, place.record?.facts, keepTexts) : { rating: null }
    if (sameAs(held.said, said)) return again(place.requestId, held)
    return keep(place, held, said, { status: said.rating === null ? 'revoked' : 'updated', state: held.state })
  }

  /** The words said while the answer was under way come before those said since. */
  function join({ record }: JoinJob, place: Place): FeedbackResult {
    const waited = place.held
    if (waited?.state !== 'pending') return { feedback_id: waited?.id ?? '', status: 'duplicate' }
    const early = reconsider(waited.said, record.facts)
    const since = of(place.requestId).get(place.source)
    if (!since) return keep(place, waited, early, { status: 'joined', state: 'kept' })
    drop.add(waited.id)
    const said = since.updatedAt < waited.updatedAt ? merge(since.said, early) : merge(early, since.said)
    return keep(place, since, said, { status: 'joined', state: 'kept' })
  }

  return {
    take(job, place) {
      if (job.kind === 'change') return change(job, place)
      if (job.kind === 'join') return join(job, place)
      const once = job.kind === 'say' ? job.once : undefined
      const replay = once && (replays.get(once.key) ?? newReplays.get(once.key))
      if (replay && replay.body !== once.body) {
        return new HttpError('idempotency_conflict', 'this idempotency-key came with another body before', {
          field: 'idempotency-key',
        })
      }
      if (replay) return replay.result
      const result = say(job, place)
      if (once && !(result instanceof HttpError)) newReplays.set(once.key, { ...once, result })
      return result
    },
    put,
    drop,
    newReplays: () => [...newReplays.values()],
    turns: () => [...stoodBefore].map(([requestId, old]) => ({ requestId, old, next: stands(requestId) })),
  }
}

function withoutTexts({ comment: _, tags: __, correction, ...said }: Said): Said {
  if (!correction) return said
  const { text: ___, ...kept } = correction
  return { ...said, correction: kept }
}
