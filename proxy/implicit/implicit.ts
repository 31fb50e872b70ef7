/** Puts the rules to work when an answer has ended, after all bytes have gone out: what they find is feedback of the weakest kind. */
import type { Logger } from '../../router/telemetry.ts'
import type { AnswerRecord } from '../answer-index.ts'
import type { Feedback } from '../feedback/feedback.ts'
import { createAskedAgain } from './asked-again.ts'
import { type ImplicitRule, judge } from './rules.ts'

export interface EndedAnswer {
  record: AnswerRecord
  caller: string | undefined
  /** `performance.now()` of the question's arrival and of the answer's last byte. */
  startedAt: number
  endedAt: number
}

export interface Implicit {
  /** Returns at once; whatever comes of it comes later, or not at all. */
  ended(answer: EndedAnswer): void
}

/** Hardly bad: people ask again for many reasons. */
const ASKED_AGAIN_SIGNAL = 0.4

export function createImplicit(
  { feedback, logger }: { feedback: Pick<Feedback, 'take'>; logger: Pick<Logger, 'warn'> },
  { rules }: { rules: readonly ImplicitRule[] },
): Implicit {
  const enabled = new Set(rules)
  const askedAgain = enabled.has('asked_again') ? createAskedAgain() : undefined

  function guess(record: AnswerRecord, score: number, rule: ImplicitRule): void {
    feedback.take([{ kind: 'guess', record, saying: { score, tags: [rule] } }]).catch(error => {
      logger.warn({ err: error }, 'what an answer itself told could not be kept')
    })
  }

  return {
    ended({ record, caller, startedAt, endedAt }) {
      const verdict = record.facts && judge(record.facts, enabled)
      if (verdict) guess(record, verdict.signal, verdict.rule)
      if (!askedAgain || caller === undefined) return
      const before = askedAgain.asked(record, caller, startedAt, endedAt)
      if (before && !(before.facts && judge(before.facts, enabled))) guess(before, ASKED_AGAIN_SIGNAL, 'asked_again')
    },
  }
}
