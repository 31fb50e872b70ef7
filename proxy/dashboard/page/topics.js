/** Fingerprints in words; nobody's question is kept, so they are called after questions of our own that are like it. */
import { call } from './api.js'

const AT_ONCE = 100
/** Few different ones are ever shown; all are forgotten when there are too many. */
const MOST = 5_000
let names = {}

/** @param {string[]} codes fingerprints that `kindOf` will be asked about */
export async function learnNames(codes) {
  const known = Object.keys(names)
  if (known.length > MOST) names = {}
  const unknown = [...new Set(codes)].filter(code => names[code] === undefined)
  for (let at = 0; at < unknown.length; at += AT_ONCE) {
    const found = await call(`topics?codes=${unknown.slice(at, at + AT_ONCE).join(',')}`)
    names = { ...names, ...found.names }
  }
}

/**
 * @param {string[]} codes of questions of one kind
 * @returns {string} `like arithmetic or statistics`, or which kind it is
 */
export function kindOf(codes) {
  const votes = new Map()
  for (const code of codes) {
    for (const [rank, name] of (names[code] ?? []).entries()) votes.set(name, (votes.get(name) ?? 0) + 1 / (1 + rank))
  }
  const best = [...votes].sort(([, a], [, b]) => b - a).slice(0, 2)
  return best.length > 0 ? `like ${best.map(([name]) => name).join(' or ')}` : `of kind ${codes[0]?.slice(0, 2)}`
}
