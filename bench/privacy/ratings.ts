/** What a packet under `clinical` tells of a rating: the odds of good against bad, after one word and after several. */
import type { Observer } from '../../router/outcome.ts'
import { worstOdds } from './attacks.ts'
import type { Door } from './door.ts'

export interface RatingFigures {
  /** How much likelier what is seen is under one rating than under the other, at most; e^ε is promised. */
  once: number
  /** The same when the mind was changed four times. */
  revised: number
  /** The same when a rule of our own had judged the answer before a person did, and both agree. */
  two_observers: number
  /** The chance that a rating is what the bit says, when both are equally likely. */
  told: number
}

type Word = readonly [signal: number, observer: Observer]

const ONCE = (rating: number): Word[] => [[rating, 'h']]
const REVISED = (rating: number): Word[] => [0, 1, 0, 1, 0].map(turn => [turn === 0 ? rating : 1 - rating, 'h'])
const TWICE = (rating: number): Word[] => [
  [rating, 'i'],
  [rating, 'h'],
]

/** @param answers how many of each rating */
export async function measureRatings(door: Door, code: string, answers: number): Promise<RatingFigures> {
  const see = async (name: string, words: Word[]) => {
    const seen: string[] = []
    for (let answer = 0; answer < answers; answer++) {
      let look = ''
      for (const [revision, [signal, observer]] of words.entries()) {
        const packet = await door.tell({ requestId: `${name}-${answer}`, code, signal, observer, revision })
        look += packet ? `${packet.observer}${packet.signal}` : '-'
      }
      seen.push(look)
    }
    return seen
  }
  const odds = async (name: string, words: (rating: number) => Word[]) =>
    worstOdds(await see(`${name}-good`, words(1)), await see(`${name}-bad`, words(0)))
  const once = await odds('once', ONCE)
  return {
    once,
    revised: await odds('revised', REVISED),
    two_observers: await odds('twice', TWICE),
    told: once / (1 + once),
  }
}
