/** Notices a caller that asks the same again: the answer before was none. In memory alone, and bounded. */
import type { AnswerRecord } from '../answer-index.ts'
import { Recent } from '../recent.ts'

export interface AskedAgain {
  /**
   * @param caller as `callers.ts` spells it
   * @param startedAt when the question came, `performance.now()`
   * @param endedAt when its answer had ended
   * @returns the answer before, if asking again says that it was no good
   */
  asked(record: AnswerRecord, caller: string, startedAt: number, endedAt: number): AnswerRecord | undefined
}

interface Asked {
  record: AnswerRecord
  endedAt: number
  times: number
}

const MAX_ASKED = 10_000
/** Sooner is no person who has read the answer, later may be another occasion. */
const SOONEST_MS = 2_000
const LATEST_MS = 10 * 60_000
/** Who asks the same so many times is a program that does nothing else. */
const MAX_TIMES = 3

export function createAskedAgain({ maxAsked = MAX_ASKED } = {}): AskedAgain {
  const last = new Recent<Asked>(maxAsked)
  return {
    asked(record, caller, startedAt, endedAt) {
      const { code, domain, model } = record
      const question = [caller, code, domain, model].join(' ')
      const before = last.get(question)
      const recent = before && startedAt - before.endedAt <= LATEST_MS ? before : undefined
      const times = (recent?.times ?? 0) + 1
      last.set(question, { record, endedAt, times })
      if (!recent || times > MAX_TIMES || startedAt - recent.endedAt < SOONEST_MS) return undefined
      return recent.record
    },
  }
}
