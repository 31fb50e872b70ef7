/** Takes an answer's bytes as they come, in each of the three ways in which answers are sent, and fills the tally. */
import type { Allowance } from './allowance.ts'
import { readAnswer } from './answer-shapes.ts'
import { Carry } from './carry.ts'
import { type LineHandler, Lines } from './lines.ts'
import type { ObservationResult, Tally } from './observation.ts'

export interface Reader {
  /** `at`: when the bytes came, `performance.now()`. */
  write(bytes: Buffer, at: number): void
  /** After the answer's last byte; for one that broke off it is not called. */
  end(): ObservationResult
  /** Lets go of all that it holds; must be called in the end. */
  release(): void
  readonly firstTokenAt: number | undefined
  readonly lastTokenAt: number | undefined
}

/** `document`: one JSON text; `events`: server-sent events; `lines`: a JSON text on each line. */
export type AnswerKind = 'document' | 'events' | 'lines'

export interface ReaderLimits {
  /** Of one document or event; a larger event is left out, a larger document given up. */
  maxBytes: number
  allowance: Allowance
}

/** Undefined for what has no facts in it to read, such as audio. */
export function answerKind(contentType: string): AnswerKind | undefined {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'text/event-stream') return 'events'
  if (/^application\/(?:x-)?(?:ndjson|jsonl|jsonlines|json-?lines)$/.test(type)) return 'lines'
  return /^application\/(?:[\w.-]+\+)?json$/.test(type) ? 'document' : undefined
}

export function createReader(kind: AnswerKind, tally: Tally, limits: ReaderLimits): Reader {
  return kind === 'document' ? new DocumentReader(tally, limits) : new StreamReader(kind, tally, limits)
}

class DocumentReader implements Reader {
  readonly firstTokenAt = undefined
  readonly lastTokenAt = undefined
  readonly #tally: Tally
  readonly #limits: ReaderLimits
  readonly #carry: Carry
  #tooLarge = false

  constructor(tally: Tally, limits: ReaderLimits) {
    this.#tally = tally
    this.#limits = limits
    this.#carry = new Carry(limits.maxBytes, limits.allowance)
  }

  write(bytes: Buffer): void {
    if (this.#tooLarge || this.#carry.append(bytes)) return
    this.#tooLarge = true
    this.#carry.clear()
  }

  end(): ObservationResult {
    if (this.#tooLarge) return 'gave_up'
    const text = this.#carry.take('utf8').replace(/^\ufeff/, '')
    const document = parse(text)
    if (document === undefined) return this.#mislabelled(text)
    for (const one of Array.isArray(document) ? document : [document]) readAnswer(one, this.#tally)
    return 'complete'
  }

  release(): void {
    this.#carry.release()
  }

  /** Some servers call a stream of lines or events plain JSON. */
  #mislabelled(text: string): ObservationResult {
    const kind = /^\s*\{/.test(text) ? 'lines' : 'events'
    const reader = new StreamReader(kind, this.#tally, this.#limits)
    reader.write(Buffer.from(text), 0)
    const result = reader.end()
    reader.release()
    return reader.readable ? result : 'unreadable'
  }
}

/**
 * In an event that has been passed by once id, model and first text are known, something is to be read only if one of
 * these has a value. Within a string its quotes would be escaped.
 */
const TELLING =
  /"(?:(?:usage|(?:finish|stop|done)_reason|error|logprobs?|details|tool_calls|function_call|refusal|generated_text)"\s*:(?!\s*(?:null|\[\s*\]|\{\s*\}|""))|done"\s*:\s*true|type"\s*:\s*"(?:error"|tool_use"|[a-z_]*_call"|message_stop|response\.(?:refusal|completed|incomplete|failed)))/
/** An id or model that has not come in so many events will not come. */
const HEAD_EVENTS = 8
const END_MARK = '[DONE]'
const LONGEST_MARK = 16
/** In UTF-8, one character for each byte. */
const BYTE_ORDER_MARK = /^\xef\xbb\xbf/
const NOT_ASCII = /[\x80-\xff]/

/** Server-sent events, or JSON lines: an event is then one line. Most events are only looked at, few are parsed. */
class StreamReader implements Reader, LineHandler {
  firstTokenAt: number | undefined
  lastTokenAt: number | undefined
  readonly #tally: Tally
  readonly #lines: Lines
  readonly #events: boolean
  /** The data lines of an event that came in several chunks or lines. */
  readonly #carry: Carry
  /** The one data line of an event, which most have. */
  #data: string | undefined
  #error = false
  #damaged = false
  #at = 0
  #seen = 0
  #read = 0
  #skipped = 0
  #atStart = true

  constructor(kind: 'events' | 'lines', tally: Tally, { maxBytes, allowance }: ReaderLimits) {
    this.#tally = tally
    this.#events = kind === 'events'
    this.#lines = new Lines(this, maxBytes, allowance)
    this.#carry = new Carry(maxBytes, allowance)
  }

  /** Whether anything in it was what it should be. */
  get readable(): boolean {
    return this.#read > 0 || this.#tally.over
  }

  write(bytes: Buffer, at: number): void {
    this.#at = at
    this.#lines.write(bytes)
    // A slice would keep its whole chunk.
    this.#stash()
  }

  end(): ObservationResult {
    this.#lines.end()
    // The last blank line is often forgotten.
    this.#dispatch()
    if (this.#seen > 0 && !this.readable) return 'unreadable'
    return this.#skipped > 0 ? 'partial' : 'complete'
  }

  release(): void {
    this.#lines.release()
    this.#carry.release()
  }

  line(bytes: string): void {
    const text = this.#atStart ? bytes.replace(BYTE_ORDER_MARK, '') : bytes
    this.#atStart = false
    if (!this.#events) this.#event(text)
    else if (text === '') this.#dispatch()
    else if (text.startsWith('data:')) this.#append(text.slice(text.startsWith(' ', 5) ? 6 : 5))
    else if (text.startsWith('event:')) this.#error = text.slice('event:'.length).trim() === 'error'
  }

  tooLong(): void {
    this.#atStart = false
    if (this.#events) this.#damaged = true
    else this.#skipped++
  }

  #append(data: string): void {
    if (this.#data === undefined && this.#carry.length === 0) {
      this.#data = data
      return
    }
    this.#stash()
    this.#hold(`\n${data}`)
  }

  #stash(): void {
    if (this.#data === undefined) return
    this.#hold(this.#data)
    this.#data = undefined
  }

  #hold(text: string): void {
    if (!this.#carry.append(Buffer.from(text, 'latin1'))) this.#damaged = true
  }

  #dispatch(): void {
    const whole = this.#data ?? this.#carry.take('latin1')
    const damaged = this.#damaged
    if (this.#error && (whole !== '' || damaged)) this.#tally.failed = true
    this.#data = undefined
    this.#error = this.#damaged = false
    this.#carry.clear()
    if (damaged) this.#skipped++
    else if (whole !== '') this.#event(whole)
  }

  #event(text: string): void {
    const tally = this.#tally
    const mark = text.length <= LONGEST_MARK ? text.trim() : text
    if (mark === END_MARK) tally.over = true
    if (mark === END_MARK || mark === '') return
    this.#seen++
    if (!tally.over) this.lastTokenAt = this.#at
    if (this.#settled() && !TELLING.test(text)) return
    const document = parse(NOT_ASCII.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text)
    if (document !== undefined) {
      this.#read++
      readAnswer(document, tally)
    } else if (text.includes('\n')) {
      // Where events are set apart by single line ends, several look like one.
      for (const line of text.split('\n')) this.#event(line)
    }
    if (tally.begun) this.firstTokenAt ??= this.#at
  }

  /** What the first events tell is known, so that the others need no reading unless something in them stands out. */
  #settled(): boolean {
    const { text, toolCall, completionId, model } = this.#tally
    if (this.#tally.checksText) return false
    return (text || toolCall) && ((completionId !== undefined && model !== undefined) || this.#seen > HEAD_EVENTS)
  }
}

function parse(text: string): unknown {
  // An exception costs more than all the rest.
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
