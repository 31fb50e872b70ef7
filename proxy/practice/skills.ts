/** Which kinds of question the practice model takes on: the first skill that has a reply answers. */
import { evaluate, findExpression } from './arithmetic.ts'
import { countLetters, inventDose, inventYear, readRoman, spellBackwards } from './blunders.ts'
import { convertUnits, count, nameCapital, readCalendar } from './facts.ts'

export interface Answer {
  text: string
  /** Name of the skill that answered; `other` when none did. */
  skill: string
  /** The mean probability the model claims for its tokens, 0..1. Not a measure of how often it is right: see below. */
  confidence: number
}

interface Skill {
  name: string
  confidence: number
  /** undefined when the question is not of this kind. */
  reply(question: string): string | undefined
}

/**
 * Skills that fail are hardly less confident (mean logprob −0.08) than those that hold (−0.05). Real models are
 * overconfident in the same way, and it is what the sidecar's calibration has to find out from outcomes.
 */
const WHEN_GOOD = Math.exp(-0.05)
const WHEN_BAD = Math.exp(-0.08)
const WHEN_LOST = Math.exp(-0.2)

const MAX_QUESTION = 2_000

/** The narrower kinds come first: milligrams in a gram are no dose, and the doses are no sum. */
const SKILLS: readonly Skill[] = [
  { name: 'units', confidence: WHEN_GOOD, reply: convertUnits },
  { name: 'doses', confidence: WHEN_BAD, reply: inventDose },
  { name: 'letters', confidence: WHEN_BAD, reply: countLetters },
  { name: 'reversal', confidence: WHEN_BAD, reply: spellBackwards },
  { name: 'roman', confidence: WHEN_BAD, reply: readRoman },
  { name: 'calendar', confidence: WHEN_GOOD, reply: readCalendar },
  { name: 'capitals', confidence: WHEN_GOOD, reply: nameCapital },
  { name: 'counting', confidence: WHEN_GOOD, reply: count },
  { name: 'arithmetic', confidence: WHEN_GOOD, reply: doArithmetic },
  { name: 'history', confidence: WHEN_BAD, reply: inventYear },
]

const STOCK_ANSWER =
  "I am qis-sidecar's built-in practice model, not a language model. I am good at arithmetic, unit conversion, capitals, " +
  'the calendar and counting; I am bad, and sound just as sure, at counting letters, spelling backwards, Roman numerals, ' +
  'years in history and drug doses. Point the sidecar at a real model server to have other questions answered.'

/** Answers by the same words each time. Of a long question only the end is read. */
export function answer(question: string): Answer {
  const asked = question.slice(-MAX_QUESTION)
  for (const { name, confidence, reply } of SKILLS) {
    const text = reply(asked)
    if (text !== undefined) return { text, skill: name, confidence }
  }
  return { text: STOCK_ANSWER, skill: 'other', confidence: WHEN_LOST }
}

function doArithmetic(question: string): string | undefined {
  const expression = findExpression(question)
  const value = expression === undefined ? undefined : evaluate(expression)
  if (value === undefined) return undefined
  return value === null ? `${expression} divides by zero, which has no value.` : `${expression} = ${value}`
}
