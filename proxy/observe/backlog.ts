/** Puts reading off until the bytes themselves have gone out: a listener that reads at once would hold them back. */
import { performance } from 'node:perf_hooks'
import type { Allowance } from './allowance.ts'

export interface Backlog {
  /**
   * Runs `work`, which must not throw, soon and after all that was added before.
   * @param bytes what it keeps in memory until then
   * @returns false when so much is waiting that this may not wait as well
   */
  add(bytes: number, work: () => void): boolean
}

interface Job {
  bytes: number
  work: () => void
}

/** After so long the event loop gets its turn, and the rest waits: the next question may have come meanwhile. */
const TURN_MS = 0.1
/** This part of what waits is done whatever time it takes: where requests never end, what they leave behind would only grow. */
const LEAST_SHARE = 1 / 8
/** About what a waiting job takes beside its bytes. */
const JOB_BYTES = 256

/**
 * Writes to a client leave Node only once the listeners of a chunk have all run (its HTTP server corks them until the
 * next tick); work put off with setImmediate comes after that.
 */
export function createBacklog(allowance: Allowance): Backlog {
  let jobs: Job[] = []
  let scheduled = false

  function run(): void {
    scheduled = false
    const until = performance.now() + TURN_MS
    const least = jobs.length * LEAST_SHARE
    let next = 0
    while (next < least || (next < jobs.length && performance.now() < until)) {
      const { bytes, work } = jobs[next++] as Job
      allowance.giveBack(bytes)
      work()
    }
    jobs = jobs.slice(next)
    schedule()
  }

  function schedule(): void {
    if (scheduled || jobs.length === 0) return
    scheduled = true
    setImmediate(run)
  }

  return {
    add(bytes, work) {
      const held = bytes + JOB_BYTES
      if (!allowance.take(held)) return false
      jobs.push({ bytes: held, work })
      schedule()
      return true
    },
  }
}
