/** A packet in words that need no knowledge of the wire. */
import { percent, whole } from './dom.js'
import { kindOf } from './topics.js'

const OBSERVERS = { h: 'a person', e: 'an evaluator', i: 'a rule that looks at the form of answers' }
const FAULTS = {
  factual: 'its facts',
  reasoning: 'its reasoning',
  format: 'its form',
  safety: 'its safety',
  other: 'something else',
}
const DIGIT_BITS = 4
/** More digits than that are left out wherever questions are to hide among others. */
const SHARED_DIGITS = 4

/** @param {Record<string, any>} wire the payload */
export function sentence({ op, os, ep, ob, mv, ct, qsh }) {
  const answer = `An answer of ${mv} to a question ${kindOf([qsh])}`
  if (op === 1) return `${answer}: what was said of it was taken back.`
  const by = OBSERVERS[ob] ?? ob
  if (ep !== undefined) return `${answer} was rated by ${by}; whether good or bad is put under noise.`
  const fault = ct === undefined ? '' : `, for ${FAULTS[ct] ?? ct}`
  return `${answer} was rated ${rating(os)} by ${by}${fault}.`
}

function rating(signal) {
  if (signal === 1) return 'good'
  if (signal === 0) return 'bad'
  return `${percent(signal)} good`
}

/**
 * All that it says, field by field.
 *
 * @param {Record<string, any>} wire
 * @returns {[what: string, says: string][]}
 */
export function fields(wire) {
  const { v, sp, d, qsh, os, ci, mv, ca, ct, st, ob, ad, n, rv, op, ep, ts, ttl } = wire
  const hour = new Date(ts * 1000).toISOString().slice(0, 13).replace('T', ', ')
  /** @type {[what: string, says: string | undefined][]} */
  const said = [
    ['Kind of question', `${qsh}: ${howExact(qsh)}`],
    ['Domain', d],
    ['Model', mv],
    [
      'Verdict',
      op === 1
        ? 'none: it takes back'
        : ep === undefined
          ? `${os} (0 bad, 1 good)`
          : `${os}, by the toss of a coin that lies with probability ${percent(1 / (1 + Math.exp(ep)))}: nobody can tell whether it did`,
    ],
    ['The model’s own confidence', ci],
    ['What was wrong', ca === undefined ? undefined : (FAULTS[ct] ?? ct)],
    ['Strategy', st],
    ['Who judged', `${OBSERVERS[ob] ?? ob}; not which one`],
    ['What the sidecar did', { 1: 'chose the model', 2: 'refined the prompt or the sources' }[ad]],
    ['Which answer', `${n}, a number that only this node can tell anything by; revision ${rv}`],
    ['When', `${hour} h UTC: the hour, no more`],
    ['Forgotten after', `${ttl} hours`],
    ['Space and version', `${sp}, ${v}`],
  ]
  return said.flatMap(([what, says]) => (says === undefined ? [] : [[what, says]]))
}

function howExact(code) {
  if (code.length > SHARED_DIGITS)
    return 'all of it; it cannot be turned back into the question, but whoever guesses that can check'
  return `one of ${whole(2 ** (DIGIT_BITS * code.length))} kinds, shared with many other questions`
}
