/** What `clinical` tells of a rating: the odds of good against bad, from all that leaves of one answer. */
import type { Observer } from '../../router/outcome.ts'
import { encodePayload, type Packet } from '../../router/packet.ts'
import { worstOdds } from './attacks.ts'
import type { Door } from './door.ts'

/** How much likelier what is seen is under one rating than under the other, at most; e^ε is promised. */
export interface RatingFigures {
  /** One word of a person. */
  once: number
  /** The same when the mind was changed four times. */
  revised: number
  /** An evaluator has judged as the person did, and before. */
  evaluator_too: number
  /** A rule of ours has found fault with what was bad, before the person did; of what was good it said nothing. */
  rule_too: number
  /** Taken back, and rated again. */
  taken_back: number
  /** The chance that a rating is what the bit says, when both are equally likely. */
  told: number
}

/** Without a signal it is a withdrawal. */
type Word = readonly [observer: Observer, signal?: number]

const WORDS: Record<Exclude<keyof RatingFigures, 'told'>, (rating: number) => Word[]> = {
  once: rating => [['h', rating]],
  revised: rating => [0, 1, 0, 1, 0].map(turn => ['h', turn === 0 ? rating : 1 - rating]),
  evaluator_too: rating => [
    ['e', rating],
    ['h', rating],
  ],
  rule_too: rating =>
    rating === 1
      ? [['h', 1]]
      : [
          ['i', 0],
          ['h', 0],
        ],
  taken_back: rating => [['h', rating], ['h'], ['h', rating]],
}

/** @param answers how many of each rating */
export async function measureRatings(door: Door, code: string, answers: number): Promise<RatingFigures> {
  const see = async (name: string, words: readonly Word[]) => {
    const seen: string[] = []
    for (let answer = 0; answer < answers; answer++) {
      const packets: Packet[] = []
      for (const [revision, [observer, signal]] of words.entries()) {
        const said = { requestId: `${name}-${answer}`, code, observer, revision }
        const packet = await door.tell(
          signal === undefined ? { ...said, signal: 0, withdrawn: true } : { ...said, signal },
        )
        if (packet) packets.push(packet)
      }
      // All of it but the name of the answer, in order.
      seen.push(packets.map(packet => encodePayload({ ...packet, answer: '0'.repeat(16) })).join())
    }
    return seen
  }
  const odds = async (name: keyof typeof WORDS) =>
    worstOdds(await see(`${name}-good`, WORDS[name](1)), await see(`${name}-bad`, WORDS[name](0)))
  const once = await odds('once')
  return {
    once,
    revised: await odds('revised'),
    evaluator_too: await odds('evaluator_too'),
    rule_too: await odds('rule_too'),
    taken_back: await odds('taken_back'),
    told: once / (1 + once),
  }
}
