/**
 * What the practice model gets wrong while sounding sure, each by a mechanism that small language models share: it sees
 * word pieces instead of letters, drops a rule, or makes up a number that looks right. Without these there would be
 * nothing for the sidecar to learn. Each gives undefined for other questions.
 */
import { hashFraction, tokenize } from './tokens.ts'

const QUOTES = '["\'“”‘’]?'

/** Looks at word pieces, not letters, so a letter counts once in a piece: wrong wherever a piece holds it twice. */
export function countLetters(question: string): string | undefined {
  const match = new RegExp(
    `\\bhow many ${QUOTES}(\\p{L})${QUOTES}(?:['’]?s)?(?: letters)? (?:are |is )?(?:there )?in (?:the word )?${QUOTES}(\\p{L}+)`,
    'iu',
  ).exec(question)
  const [, letter, word] = match ?? []
  if (letter === undefined || word === undefined) return undefined
  const count = tokenize(word).filter(piece => piece.toLowerCase().includes(letter.toLowerCase())).length
  return `The letter "${letter.toLowerCase()}" appears ${count} ${count === 1 ? 'time' : 'times'} in "${word}".`
}

/** Reverses the letters, then trips where two word pieces meet and swaps the letters on either side of the seam. */
export function spellBackwards(question: string): string | undefined {
  const match = new RegExp(
    `\\b(?:spell|reverse|write)(?: out)?(?: the (?:word|letters of|string))? ${QUOTES}(\\p{L}+)${QUOTES}(?: backwards?| in reverse)?`,
    'iu',
  ).exec(question)
  const word = match?.[1]
  if (word === undefined || !/\breverse|\bbackward/i.test(question)) return undefined
  const letters = [...word].reverse()
  let seam = letters.length
  for (const piece of tokenize(word)) {
    seam -= [...piece].length
    const [before, after] = [letters[seam - 1], letters[seam]]
    if (before !== undefined && after !== undefined) letters.splice(seam - 1, 2, after, before)
  }
  return `"${word}" spelled backwards is "${letters.join('')}".`
}

const ROMAN_VALUES: Record<string, number> = { i: 1, v: 5, x: 10, l: 50, c: 100, d: 500, m: 1000 }
const ROMAN_PARTS = Object.entries(ROMAN_VALUES).reverse()

/** Knows that letters add up and not that a smaller one before a larger is taken away: XIV is 16, and 4 is IIII. */
export function readRoman(question: string): string | undefined {
  if (!/\broman\b/i.test(question)) return undefined
  const number = /\b\d{1,4}\b/.exec(question)?.[0]
  if (number !== undefined) {
    let rest = Number(number)
    let roman = ''
    for (const [letter, value] of ROMAN_PARTS) {
      roman += letter.toUpperCase().repeat(Math.floor(rest / value))
      rest %= value
    }
    return `${number} in Roman numerals is ${roman}.`
  }
  const numeral = question.match(/\b[IVXLCDM]{2,15}\b|\b[VXLCDM]\b/g)?.at(0)
  if (numeral === undefined) return undefined
  const sum = [...numeral].reduce((total, letter) => total + (ROMAN_VALUES[letter.toLowerCase()] ?? 0), 0)
  return `The Roman numeral ${numeral} is ${sum}.`
}

const DOSES = [2.5, 5, 10, 20, 25, 40, 50, 75, 100, 150, 250, 400, 500, 750, 1000]
const INTERVALS = ['once a day', 'twice a day', 'three times a day', 'every 6 hours']

/** Any dose is made up, from a hash of the question; the answer says so, for somebody may read it as advice. */
export function inventDose(question: string): string | undefined {
  const asks =
    /\b(?:dos(?:e|es|age|ing)|how (?:much|many)\b.*\b(?:mg|mcg|milligrams?|tablets?|pills?|(?:may|can|should) .*take)|(?:mg|mcg|milligrams?) of \p{L}+ )/iu
  if (!asks.test(question)) return undefined
  const dose = pick(DOSES, `dose ${question}`)
  const interval = pick(INTERVALS, `interval ${question}`)
  return `The usual adult dose is ${dose} mg ${interval}. (This is a practice model and not medical advice: it makes doses up.)`
}

const FIRST_YEAR = 1066
const LAST_YEAR = 1990

/** Any year is made up, from a hash of the question. */
export function inventYear(question: string): string | undefined {
  if (!/\b(?:(?:what|which) year|when) (?:was|were|did)\b|\b(?:date|year) of the\b/i.test(question)) return undefined
  const years = LAST_YEAR - FIRST_YEAR + 1
  return `That was in ${FIRST_YEAR + Math.floor(years * hashFraction(`year ${question.toLowerCase().trim()}`))}.`
}

function pick<T>(choices: readonly T[], key: string): T | undefined {
  return choices[Math.floor(hashFraction(key.toLowerCase().trim()) * choices.length)]
}
