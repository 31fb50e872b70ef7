/** A packet in words that need no knowledge of the wire. */
import { percent } from './dom.js'

const OBSERVERS = { h: 'a person', e: 'an evaluator', i: 'a rule that looks at the form of answers' }
const FAULTS = {
  factual: 'its facts',
  reasoning: 'its reasoning',
  format: 'its form',
  safety: 'its safety',
  other: 'something else',
}
const DIGIT_BITS = 4

/** @param {Record<string, any>} wire the payload */
export function sentence({ op, os, ep, ob, mv, ct }) {
  if (op === 1) return 'Took back what it had said of one answer.'
  const by = OBSERVERS[ob] ?? ob
  if (ep !== undefined) return `An answer of ${mv} was rated by ${by}; good or bad was put under noise.`
  const fault = ct === undefined ? '' : `, for ${FAULTS[ct] ?? ct}`
  return `An answer of ${mv} was rated ${rating(os)} by ${by}${fault}.`
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
  const said = [
    [
      'Kind of question',
      `${qsh}: ${qsh.length} digits, that is one of ${2 ** (DIGIT_BITS * Math.min(qsh.length, 12))} kinds${qsh.length > 12 ? ' and more' : ''}; the question cannot be read from it, whoever has a guess can check it`,
    ],
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
    ['The model’s own confidence', ci === undefined ? undefined : `${ci}, in steps of 0.05`],
    ['What was wrong', ca === undefined ? undefined : (FAULTS[ct] ?? ct)],
    ['Strategy', st],
    ['Who judged', `${OBSERVERS[ob] ?? ob}; not which one`],
    ['What the sidecar did', { 1: 'chose the model', 2: 'refined the prompt or the sources' }[ad]],
    ['Which answer', `${n}, a number that only this node can tell anything by; revision ${rv}`],
    ['When', `${hour} h UTC: the hour, no more`],
    ['Forgotten after', `${ttl} hours`],
    ['Space and version', `${sp}, ${v}`],
  ]
  return said.filter(([, value]) => value !== undefined)
}
