/** Kinds of question by a name; nobody's question is kept, so it is that of questions of our own that fall near. */
import { call } from './api.js'

let names = {}

export async function loadTopics() {
  if (Object.keys(names).length === 0) names = await call('topics')
}

/**
 * @param {string} code a fingerprint, or its first two digits
 * @returns {string} `like arithmetic, dates`, or which kind it is
 */
export function kindOf(code) {
  const cell = code.slice(0, 2)
  return names[cell] ? `like ${names[cell].join(' or ')}` : `of kind ${cell}`
}
