/** Keeps long questions short without decoding what is left out of them. */
import { decodeWithin, MAX_BYTES_PER_CHAR, type Span } from './json-scan.ts'

/** Longer questions are cut in the middle: what is asked stands at one end or the other. */
export const MAX_QUERY_CHARS = 8_000

/** So many bytes of JSON surely hold half a question, and a character that was begun. */
const EDGE_BYTES = (MAX_QUERY_CHARS / 2) * MAX_BYTES_PER_CHAR + 16

/** Without the white space around it, at most `MAX_QUERY_CHARS` + 1 long, and without lone surrogates. */
export function cut(text: string): string {
  const trimmed = text.trim()
  if (trimmed.length <= MAX_QUERY_CHARS) return trimmed.toWellFormed()
  const half = MAX_QUERY_CHARS / 2
  return `${trimmed.slice(0, half)}\n${trimmed.slice(-half)}`.toWellFormed()
}

/**
 * The texts of several JSON strings, empty ones left out, one a line. When they are very long together, only the first
 * and the last 24 KB are decoded: more than `cut` keeps, unless thousands of blanks stand at the ends.
 *
 * @throws SyntaxError when what is decoded is no JSON
 */
export function decodeEnds(bytes: Buffer, strings: readonly Span[]): string {
  const total = strings.reduce((sum, { start, end }) => sum + end - start - 2, 0)
  const headEnd = total <= 2 * EDGE_BYTES ? total : EDGE_BYTES
  const tailStart = total <= 2 * EDGE_BYTES ? total : total - EDGE_BYTES
  const texts: string[] = []
  let passed = 0
  for (const string of strings) {
    const from = string.start + 1
    const to = string.end - 1
    const head = Math.min(to, from + headEnd - passed)
    const tail = Math.max(from, from + tailStart - passed)
    if (head > from) texts.push(decodeWithin(bytes, string, from, head))
    if (tail < to) texts.push(decodeWithin(bytes, string, tail, to))
    passed += to - from
  }
  return texts.join('\n')
}
