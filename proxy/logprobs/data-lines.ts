/** Cuts an event stream into lines as it comes, and hands those with data to somebody who may change them; holds one line at most. */

const LF = 0x0a
const CR = 0x0d
const DATA = Buffer.from('data:')
const NONE = Buffer.alloc(0)

export class DataLines {
  readonly #change: (json: Buffer) => Buffer
  readonly #maxBytes: number
  /** The beginning of a line whose end has not come. */
  #held: Buffer[] = []
  #length = 0
  /** A line was too long: from there on all goes through as it is. */
  #passing = false

  /** @param change given what stands behind `data:`, without the line's end */
  constructor(change: (json: Buffer) => Buffer, maxBytes: number) {
    this.#change = change
    this.#maxBytes = maxBytes
  }

  /** What may go on now: all lines that have ended. An event ends with a line, so none that is whole is kept waiting. */
  write(bytes: Buffer): Buffer {
    if (this.#passing) return bytes
    const end = Math.max(bytes.lastIndexOf(LF), bytes.lastIndexOf(CR)) + 1
    const lines = end > 0 ? this.#lines(this.#take(bytes.subarray(0, end))) : NONE
    if (end < bytes.length) this.#hold(bytes.subarray(end))
    if (this.#length <= this.#maxBytes) return lines
    this.#passing = true
    return Buffer.concat([lines, this.#take(NONE)])
  }

  /** The last line's end is often forgotten. */
  end(): Buffer {
    return this.#lines(this.#take(NONE))
  }

  /** What is held, as it came. */
  release(): Buffer {
    return this.#take(NONE)
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes)
    this.#length += bytes.length
  }

  #take(bytes: Buffer): Buffer {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([...this.#held, bytes])
    this.#held = []
    this.#length = 0
    return all
  }

  #lines(bytes: Buffer): Buffer {
    const parts: Buffer[] = []
    let from = 0
    let changed = false
    for (let at = 0; at < bytes.length; ) {
      const end = lineEnd(bytes, at)
      if (bytes.subarray(at, at + DATA.length).equals(DATA)) {
        const json = bytes.subarray(at + DATA.length, end)
        const instead = this.#change(json)
        if (instead !== json) {
          changed = true
          parts.push(bytes.subarray(from, at + DATA.length), instead)
          from = end
        }
      }
      at = end + 1
    }
    return changed ? Buffer.concat([...parts, bytes.subarray(from)]) : bytes
  }
}

/** JSON holds neither, so a line ends at the first of them. */
function lineEnd(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf(LF, from)
  const end = lf === -1 ? bytes.length : lf
  const cr = bytes.subarray(from, end).indexOf(CR)
  return cr === -1 ? end : from + cr
}
