/** Walks JSON in a buffer and parses none of it, so that what nobody asks for costs no more than the search for its end. */

/** Where a value stands in the buffer, a string's quotes included; `end` is the first byte behind it. */
export interface Span {
  start: number
  end: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LOWER_U = 0x75
const COMMA = 0x2c
const COLON = 0x3a
const SPACE = 0x20
/** Sets braces and square brackets equal, and mistakes no other byte for one. */
const ANY_BRACKET = 0x20
const ANY_OPEN = 0x7b
const ANY_CLOSE = 0x7d
/** How many bytes may follow the first of a character in UTF-8. */
const MAX_CONTINUATION = 3
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]

/** A string that ends within so many bytes is found sooner by a loop here than by a native search. */
const NEAR = 32

/** The longest form of a character in JSON: `\u0041`. */
export const MAX_BYTES_PER_CHAR = 6

/**
 * A cursor over one document, moved by the caller: `enter` a container, then `nextMember` or `nextElement` until false,
 * with exactly one value taken, skipped or entered and left after each true.
 *
 * Every method throws a SyntaxError, as `JSON.parse` does, on a fault it meets. It does not look for all of them: inside
 * skipped values only strings and the number of brackets are minded. Time is linear in the bytes passed and no depth of
 * nesting costs memory.
 */
export class JsonScan {
  readonly #bytes: Buffer
  #at: number
  #start = 0
  readonly #key: Span = { start: 0, end: 0 }
  /** Just inside a container, where no comma is due. */
  #first = false

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at === 0 && BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? BYTE_ORDER_MARK.length : at
  }

  /** Steps into the next value if it is of this kind; otherwise it is still to be taken. */
  enter(bracket: '{' | '['): boolean {
    if (this.#peek() !== bracket.charCodeAt(0)) return false
    this.#at++
    this.#first = true
    return true
  }

  /** True when the cursor stands before a member's value; false when the object has ended and is left. */
  nextMember(): boolean {
    if (!this.nextElement()) return false
    if (this.#peek() !== QUOTE) this.#fault()
    this.#key.start = this.#at
    this.#passString()
    this.#key.end = this.#at
    if (this.#peek() !== COLON) this.#fault()
    this.#at++
    return true
  }

  /** True when the cursor stands before an element; false when the array has ended and is left. */
  nextElement(): boolean {
    const byte = this.#peek()
    const first = this.#first
    this.#first = false
    if ((byte | ANY_BRACKET) === ANY_CLOSE) {
      this.#at++
      return false
    }
    if (first) return true
    if (byte !== COMMA) this.#fault()
    this.#at++
    return true
  }

  /** Where the current member's name stands, until the next one's. */
  get key(): Readonly<Span> {
    return this.#key
  }

  /** Whether the current member has this name. */
  keyIs(name: string): boolean {
    return stringIs(this.#bytes, this.#key, name)
  }

  /** Passes the next value and says where it was. */
  take(): Span {
    this.skip()
    return { start: this.#start, end: this.#at }
  }

  skip(): void {
    const byte = this.#peek()
    this.#start = this.#at
    if (byte === QUOTE) this.#passString()
    else if ((byte | ANY_BRACKET) === ANY_OPEN) this.#passContainer()
    else this.#passScalar()
  }

  /** Nothing but white space may follow. */
  finish(): void {
    this.#passSpace()
    if (this.#at < this.#bytes.length) this.#fault()
  }

  #peek(): number {
    this.#passSpace()
    if (this.#at >= this.#bytes.length) this.#fault()
    return this.#bytes[this.#at] ?? 0
  }

  #passSpace(): void {
    const bytes = this.#bytes
    while (this.#at < bytes.length && isSpace(bytes[this.#at] ?? 0)) this.#at++
  }

  #passString(): void {
    const bytes = this.#bytes
    let at = this.#at + 1
    for (;;) {
      const near = Math.min(at + NEAR, bytes.length)
      while (at < near) {
        const byte = bytes[at]
        if (byte === QUOTE) {
          this.#at = at + 1
          return
        }
        at += byte === BACKSLASH ? 2 : 1
      }
      const quote = bytes.indexOf(QUOTE, at)
      if (quote === -1) this.#fault()
      let escapes = quote
      while (escapes > at && bytes[escapes - 1] === BACKSLASH) escapes--
      at = quote + 1
      if ((quote - escapes) % 2 === 0) {
        this.#at = at
        return
      }
    }
  }

  #passContainer(): void {
    const bytes = this.#bytes
    let depth = 0
    do {
      if (this.#at >= bytes.length) this.#fault()
      const byte = bytes[this.#at] ?? 0
      if (byte === QUOTE) {
        this.#passString()
        continue
      }
      const kind = byte | ANY_BRACKET
      if (kind === ANY_OPEN) depth++
      else if (kind === ANY_CLOSE) depth--
      this.#at++
    } while (depth > 0)
  }

  #passScalar(): void {
    const start = this.#at
    while (this.#at < this.#bytes.length) {
      const byte = this.#bytes[this.#at] ?? 0
      if (byte === COMMA || isSpace(byte) || (byte | ANY_BRACKET) === ANY_CLOSE) break
      this.#at++
    }
    if (this.#at === start) this.#fault()
  }

  #fault(): never {
    throw new SyntaxError(`not JSON at byte ${this.#at}`)
  }
}

/** Whether the value at `start` is a string. */
export function isString(bytes: Buffer, { start }: Span): boolean {
  return bytes[start] === QUOTE
}

/** Whether the value is this string; `text` must be ASCII without quotes, backslashes or controls. */
export function stringIs(bytes: Buffer, { start, end }: Span, text: string): boolean {
  const length = end - start - 2
  if (bytes[start] !== QUOTE || length < text.length || length > text.length * MAX_BYTES_PER_CHAR) return false
  let i = 0
  while (i < text.length && bytes[start + 1 + i] === text.charCodeAt(i)) i++
  if (i === text.length) return length === i
  return bytes[start + 1 + i] === BACKSLASH && decodeString(bytes, start + 1, end - 1) === text
}

/**
 * The characters between two offsets within a string's quotes. An offset inside a character's escape or UTF-8 sequence
 * counts as the end of that character.
 */
export function decodeWithin(bytes: Buffer, string: Span, from: number, to: number): string {
  return decodeString(bytes, characterEnd(bytes, string, from), characterEnd(bytes, string, to))
}

function decodeString(bytes: Buffer, from: number, to: number): string {
  return JSON.parse(`"${bytes.toString('utf8', from, to)}"`)
}

function characterEnd(bytes: Buffer, { start, end }: Span, offset: number): number {
  if (offset === start + 1) return offset
  let at = offset
  for (let last = offset - 1; last > Math.max(start, offset - MAX_BYTES_PER_CHAR); last--) {
    if (bytes[last] !== BACKSLASH) continue
    let run = last
    while (bytes[run - 1] === BACKSLASH) run--
    // The last of an even number of backslashes is itself what is escaped.
    if ((last - run) % 2 === 0) at = Math.max(at, last + (bytes[last + 1] === LOWER_U ? MAX_BYTES_PER_CHAR : 2))
    break
  }
  const sequenceEnd = at + MAX_CONTINUATION
  while (at < sequenceEnd && ((bytes[at] ?? 0) & 0xc0) === 0x80) at++
  return Math.min(at, end - 1)
}

function isSpace(byte: number): boolean {
  return byte <= SPACE && (byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09)
}
