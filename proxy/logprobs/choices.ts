/** Finds the logprobs in a chat completion's choices, and takes them out byte by byte; all else stays as the server wrote it. */
import { JsonScan, type Span } from '../query/json-scan.ts'

/** What a server that was not asked writes in their place: `"logprobs":null`, or nothing at all. */
export type Habit = 'null' | 'absent'

interface Member {
  key: Span
  value: Span
}

/** What stands for the choices of one document, or one event. */
export interface Choices {
  count: number
  logprobs: readonly Member[]
}

/** Undefined when these bytes are no JSON object with choices. */
export function findLogprobs(bytes: Buffer): Choices | undefined {
  try {
    return find(bytes)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function find(bytes: Buffer): Choices | undefined {
  const scan = new JsonScan(bytes)
  if (!scan.enter('{')) return undefined
  let count = 0
  let known = false
  const logprobs: Member[] = []
  while (scan.nextMember()) {
    if (!scan.keyIs('choices') || !scan.enter('[')) {
      scan.skip()
      continue
    }
    known = true
    while (scan.nextElement()) {
      count++
      if (!scan.enter('{')) {
        scan.skip()
        continue
      }
      while (scan.nextMember()) {
        const key = scan.keyIs('logprobs') && { ...scan.key }
        const value = scan.take()
        if (key) logprobs.push({ key, value })
      }
    }
  }
  scan.finish()
  return known ? { count, logprobs } : undefined
}

/** The same document as the server would have written it, had it not been asked; the very same bytes when nothing is to go. */
export function withoutLogprobs(bytes: Buffer, habit: Habit): Buffer {
  const found = findLogprobs(bytes)
  if (!found || found.logprobs.length === 0) return bytes
  const kept: Buffer[] = []
  let from = 0
  for (const member of found.logprobs) {
    const { start, end } = habit === 'null' ? member.value : whole(bytes, member)
    kept.push(bytes.subarray(from, start))
    if (habit === 'null') kept.push(NULL)
    from = end
  }
  kept.push(bytes.subarray(from))
  return Buffer.concat(kept)
}

const NULL = Buffer.from('null')

/** A member with the comma that sets it apart: the one before it, or, of the first, the one behind. */
function whole(bytes: Buffer, { key, value }: Member): Span {
  let before = key.start - 1
  while (isSpace(bytes[before])) before--
  if (bytes[before] === COMMA) return { start: before, end: value.end }
  let behind = value.end
  while (isSpace(bytes[behind])) behind++
  if (bytes[behind] !== COMMA) return { start: key.start, end: value.end }
  do behind++
  while (isSpace(bytes[behind]))
  return { start: key.start, end: behind }
}

const COMMA = 0x2c

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** What an answer that nobody asked for logprobs shows of its server's habit. */
export class HabitSeen {
  #nulls = 0
  #absent = 0
  #values = 0

  see(bytes: Buffer): void {
    const found = findLogprobs(bytes)
    if (!found) return
    for (const { value } of found.logprobs) {
      if (bytes.toString('latin1', value.start, value.end) === 'null') this.#nulls++
      else this.#values++
    }
    this.#absent += found.count - found.logprobs.length
  }

  /** `never` for a server that gives them unasked, or writes now this and now that; undefined when nothing was seen. */
  get habit(): Habit | 'never' | undefined {
    if (this.#values > 0 || (this.#nulls > 0 && this.#absent > 0)) return 'never'
    if (this.#nulls > 0) return 'null'
    return this.#absent > 0 ? 'absent' : undefined
  }
}
