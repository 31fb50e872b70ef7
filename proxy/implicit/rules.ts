/** What may be concluded from an answer that nobody has judged: one small rule for each way in which answers go wrong. */
import type { AnswerFact } from '../answer-index.ts'
import type { Observation } from '../observe/observation.ts'

/** Those that look at one answer alone. */
export const answerRules = ['empty', 'cut', 'invalid_json', 'bad_tool_call', 'refusal', 'error'] as const
/** The last supposes that a caller is a person, which behind a gateway with one key it is not. */
export const implicitRules = [...answerRules, 'asked_again'] as const
export type ImplicitRule = (typeof implicitRules)[number]

/** @param broken whether the server broke off; a client that leaves says nothing of the answer */
export type ReadFact = (seen: Observation, broken: boolean) => boolean

const read = ({ result }: Observation) => result === 'complete' || result === 'partial'

const facts: Readonly<Record<AnswerFact, ReadFact>> = {
  empty: ({ empty }) => empty,
  cut: seen => read(seen) && seen.cutShort,
  bad_json: ({ badJson }) => badJson,
  bad_tool_call: ({ badToolCall }) => badToolCall,
  // A filter's stop is the server's policy; this is the model's own refusal.
  refused: ({ refused, finishReason }) => refused && finishReason !== 'content_filter',
  failed: ({ failed }, broken) => failed || broken,
}

/** What is to be kept of an answer that went wrong, for corrections and for the rules. */
export function factsOf(seen: Observation, broken: boolean): AnswerFact[] {
  return (Object.keys(facts) as AnswerFact[]).filter(fact => facts[fact](seen, broken))
}

/** How good an answer is thought to be of which this is known, 0..1. */
const rules: readonly { rule: ImplicitRule; fact: AnswerFact; signal: number }[] = [
  { rule: 'empty', fact: 'empty', signal: 0 },
  { rule: 'cut', fact: 'cut', signal: 0.25 },
  { rule: 'invalid_json', fact: 'bad_json', signal: 0 },
  { rule: 'bad_tool_call', fact: 'bad_tool_call', signal: 0 },
  { rule: 'refusal', fact: 'refused', signal: 0.25 },
  { rule: 'error', fact: 'failed', signal: 0.25 },
]

/** The worst that is known counts. */
export function judge(
  known: readonly AnswerFact[],
  enabled: ReadonlySet<ImplicitRule>,
): { rule: ImplicitRule; signal: number } | undefined {
  return rules
    .filter(({ rule, fact }) => enabled.has(rule) && known.includes(fact))
    .sort((a, b) => a.signal - b.signal)[0]
}
