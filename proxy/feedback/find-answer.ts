/** Finds the answers that feedback is about: by receipt, by request id, or by the server's own id, which may be no one's alone. */
import type { AnswerIndex, AnswerRecord } from '../answer-index.ts'
import { HttpError } from '../errors.ts'
import type { Receipts } from '../receipts.ts'
import type { Target } from './reading.ts'

export interface Wanted {
  target: Target
  /** Who gives the feedback, as `callers.ts` spells it. */
  caller?: string | undefined
}

/** `await`: an answer is under way that may turn out to be this one. */
export type FoundAnswer = { record: AnswerRecord } | { await: string } | HttpError

const RECENT_S = 3600
const LONG_AGO_S = 24 * 3600

/** All at once, in the order they were asked for. */
export async function findAnswers(
  wanted: readonly Wanted[],
  { answers, receipts }: { answers: AnswerIndex; receipts: Receipts },
  now: number,
): Promise<FoundAnswer[]> {
  const opened = wanted.map(({ target }) =>
    target.kind === 'receipt' ? open(target.token, target.path, receipts) : undefined,
  )
  const requestIds = wanted.flatMap(({ target }, at) => {
    const sealed = opened[at]
    if (target.kind === 'request') return [target.id]
    return sealed && 'record' in sealed ? [sealed.record.requestId] : []
  })
  const completionIds = wanted.flatMap(({ target }) => (target.kind === 'completion' ? [target.id] : []))
  const onlyReceipts = wanted.every(({ target }) => target.kind === 'receipt')
  const [byRequest, byCompletion] = await Promise.all([
    // The index knows more, once the answer has ended; but a receipt must do without it.
    answers.byRequestId(requestIds).catch(error => {
      if (onlyReceipts) return new Map<string, AnswerRecord>()
      throw error
    }),
    answers.byCompletionId(completionIds),
  ])

  return wanted.map(({ target, caller }, at) => {
    const sealed = opened[at]
    if (sealed) return 'record' in sealed ? { record: byRequest.get(sealed.record.requestId) ?? sealed.record } : sealed
    if (target.kind === 'request') {
      const record = byRequest.get(target.id)
      return record ? { record } : unknown(target.id, target.path)
    }
    if (target.kind === 'receipt') return unknown('', target.path)
    const alike = byCompletion.get(target.id) ?? []
    if (alike.length === 0) return answers.underWay ? { await: target.id } : unknown(target.id, target.path)
    const record = choose(alike, id => answers.callerOf(id), caller, now)
    return record ? { record } : ambiguous(target.path)
  })
}

/**
 * Of answers with one id, newest first, the one that is meant: the only one that this caller asked for; else the newest,
 * when it is fresh and the others are long gone.
 */
function choose(
  alike: readonly AnswerRecord[],
  callerOf: (requestId: string) => string | undefined,
  caller: string | undefined,
  now: number,
): AnswerRecord | undefined {
  const own = caller === undefined ? [] : alike.filter(({ requestId }) => callerOf(requestId) === caller)
  const [newest, next] = own.length > 0 ? own : alike
  if (!newest || !next) return newest
  return newest.time >= now - RECENT_S && next.time < now - LONG_AGO_S ? newest : undefined
}

function open(token: string, path: string, receipts: Receipts): { record: AnswerRecord } | HttpError {
  try {
    return { record: receipts.open(token) }
  } catch (error) {
    if (error instanceof HttpError) return new HttpError(error.code, error.message, { field: path, cause: error })
    throw error
  }
}

function unknown(id: string, field: string): HttpError {
  return new HttpError('unknown_id', `no answer is known by this id: ${id}`, { field })
}

function ambiguous(field: string): HttpError {
  return new HttpError('ambiguous_id', 'several answers have this id; send x-qis-request-id or x-qis-receipt instead', {
    field,
  })
}
