/** Cuts a stream of bytes into lines, whichever way it was torn into chunks, and holds no more than one line of it. */
import type { Allowance } from './allowance.ts'
import { Carry } from './carry.ts'

export interface LineHandler {
  /** One character for each byte, without its end; an empty one is told as well. */
  line(text: string): void
  /** A line longer than the bound stood here. */
  tooLong(): void
}

const LF = 10

/**
 * Lines end with LF, CRLF or CR, as server-sent events may; JSON holds neither, so the same cut serves NDJSON. Bytes
 * are read as Latin-1: all that separates is ASCII, and no character of several bytes can be torn.
 */
export class Lines {
  readonly #handler: LineHandler
  readonly #maxBytes: number
  readonly #carry: Carry
  /** Within a line that is too long. */
  #skipping = false
  /** The last chunk ended with CR: an LF that follows belongs to it. */
  #afterCr = false

  constructor(handler: LineHandler, maxBytes: number, allowance: Allowance) {
    this.#handler = handler
    this.#maxBytes = maxBytes
    this.#carry = new Carry(maxBytes, allowance)
  }

  write(bytes: Buffer): void {
    if (bytes.length === 0) return
    const text = bytes.toString('latin1')
    let from = this.#afterCr && text.charCodeAt(0) === LF ? 1 : 0
    this.#afterCr = false
    let cr = text.indexOf('\r', from)
    let lf = text.indexOf('\n', from)
    while (cr !== -1 || lf !== -1) {
      const end = cr === -1 || (lf !== -1 && lf < cr) ? lf : cr
      this.#complete(text, bytes, from, end)
      from = end + 1
      if (end === cr) {
        if (from === text.length) this.#afterCr = true
        else if (text.charCodeAt(from) === LF) from++
        cr = text.indexOf('\r', from)
      }
      if (lf !== -1 && lf < from) lf = text.indexOf('\n', from)
    }
    if (from < text.length) this.#keep(bytes.subarray(from))
  }

  /** What stands after the last line end counts as a line. */
  end(): void {
    if (this.#carry.length > 0) this.#handler.line(this.#carry.take('latin1'))
  }

  release(): void {
    this.#carry.release()
  }

  #complete(text: string, bytes: Buffer, from: number, end: number): void {
    if (this.#skipping) {
      this.#skipping = false
    } else if (this.#carry.length > 0) {
      this.#keep(bytes.subarray(from, end))
      if (!this.#skipping) this.#handler.line(this.#carry.take('latin1'))
      this.#skipping = false
    } else if (end - from > this.#maxBytes) {
      this.#handler.tooLong()
    } else {
      this.#handler.line(text.slice(from, end))
    }
  }

  #keep(bytes: Buffer): void {
    if (this.#skipping || this.#carry.append(bytes)) return
    this.#skipping = true
    this.#carry.clear()
    this.#handler.tooLong()
  }
}
