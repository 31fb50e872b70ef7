/** Holds bytes that wait for the rest of their line or document, copied so that no network buffer is kept for them. */
import type { Allowance } from './allowance.ts'

const FIRST_BYTES = 1024
const NONE = Buffer.alloc(0)
/** A larger buffer is let go once its bytes have been taken: most streams need one only once. */
const KEPT_BYTES = 16 * 1024

export class Carry {
  readonly #maxBytes: number
  readonly #allowance: Allowance
  #buffer = NONE
  #length = 0

  constructor(maxBytes: number, allowance: Allowance) {
    this.#maxBytes = maxBytes
    this.#allowance = allowance
  }

  get length(): number {
    return this.#length
  }

  /** False, and what was there unchanged, when it would grow over the bound or the allowance. */
  append(bytes: Uint8Array): boolean {
    const length = this.#length + bytes.length
    if (length > this.#maxBytes || (length > this.#buffer.length && !this.#grow(length))) return false
    this.#buffer.set(bytes, this.#length)
    this.#length = length
    return true
  }

  /** All of it; as Latin-1, one character for each byte, which no bytes can break. */
  take(encoding: 'latin1' | 'utf8'): string {
    const text = this.#buffer.toString(encoding, 0, this.#length)
    this.clear()
    return text
  }

  clear(): void {
    this.#length = 0
    if (this.#buffer.length > KEPT_BYTES) this.release()
  }

  /** Must be called in the end; it may be used again all the same. */
  release(): void {
    this.#allowance.giveBack(this.#buffer.length)
    this.#buffer = NONE
    this.#length = 0
  }

  #grow(length: number): boolean {
    const wanted = this.#length === 0 ? length : 2 * length
    const size = Math.min(this.#maxBytes, Math.max(FIRST_BYTES, wanted))
    if (!this.#allowance.take(size)) return false
    const grown = Buffer.allocUnsafe(size)
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#allowance.giveBack(this.#buffer.length)
    this.#buffer = grown
    return true
  }
}
