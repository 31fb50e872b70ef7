/** What is done once an answer has ended and its bytes have gone out: it is remembered, and the rules look at it. */
import type { IncomingMessage } from 'node:http'
import { modelVariant, UNKNOWN_MODEL } from '../router/model-variant.ts'
import type { AnswerIndex, AnswerRecord } from './answer-index.ts'
import type { Callers } from './callers.ts'
import type { Implicit } from './implicit/implicit.ts'
import { factsOf } from './implicit/rules.ts'
import type { Observation } from './observe/observation.ts'

export interface Afterwards {
  /**
   * @param startedAt when the question came, `performance.now()`
   * @param broken whether the server broke off
   */
  ended(record: AnswerRecord, seen: Observation, request: IncomingMessage, startedAt: number, broken: boolean): void
}

export function createAfterwards(components: {
  answers: AnswerIndex
  callers: Callers
  implicit: Implicit
}): Afterwards {
  const { answers, callers, implicit } = components
  return {
    ended(begun, seen, { headers, socket }, startedAt, broken) {
      const record = withObservation(begun, seen, broken)
      const caller = callers.of(headers.authorization, socket.remoteAddress)
      answers.ended(record, caller)
      implicit.ended({ record, caller, startedAt, endedAt: seen.endedAt })
    },
  }
}

/** The client's own statement of confidence outranks the logprobs, and its name of the model the server's. */
function withObservation(record: AnswerRecord, seen: Observation, broken: boolean): AnswerRecord {
  const { completionId, model } = seen
  const confidence = record.confidence ?? seen.confidence
  const facts = factsOf(seen, broken)
  return {
    ...record,
    ...(completionId !== undefined && { completionId }),
    ...(confidence !== undefined && { confidence }),
    ...(record.model === UNKNOWN_MODEL && model !== undefined && { model: modelVariant(model) }),
    ...(facts.length > 0 && { facts }),
  }
}
