/** Tells a person at a terminal how far long work has come; says nothing where nobody sits. */
import type { Writable } from 'node:stream'

export interface Progress {
  /** @param total 0 where it cannot be told */
  show(what: string, done: number, total: number): void
  /** Takes the line away again. */
  clear(): void
}

const INTERVAL_MS = 100
const CLEAR_LINE = '\r\u001b[K'

export function createProgress(err: Writable & { isTTY?: boolean }): Progress {
  if (!err.isTTY) return { show() {}, clear() {} }
  let shownAt = Number.NEGATIVE_INFINITY
  let shown = ''
  return {
    show(what, done, total) {
      const now = performance.now()
      if (what === shown && now - shownAt < INTERVAL_MS) return
      shown = what
      shownAt = now
      const share = total > 0 ? ` ${Math.floor((100 * done) / total)} % of ${total.toLocaleString('en')}` : ' …'
      err.write(`${CLEAR_LINE}${what}${share}`)
    },
    clear() {
      if (shown !== '') err.write(CLEAR_LINE)
      shown = ''
    },
  }
}
