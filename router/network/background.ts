/** Runs the network's own errands a few at a time; one that fails or hangs is logged and costs nobody else anything. */
import type { Logger } from '../telemetry.ts'
import { deadline, within } from './deadline.ts'

export interface Background {
  /**
   * Runs `errand` when its turn comes. One of the same name that still waits stands for both; beyond the queue's bound
   * it is dropped and logged.
   */
  run(name: string, errand: (signal: AbortSignal) => Promise<unknown>): void
  /** Drops what waits and aborts what runs. */
  stop(): void
}

export interface BackgroundOptions {
  /** Errands at a time. */
  concurrency: number
  /** Errands that may wait. */
  maxWaiting: number
  /** An errand that takes longer is given up. */
  deadlineMs: number
}

export function createBackground(components: { logger: Logger }, options: BackgroundOptions): Background {
  const { logger } = components
  const stopping = new AbortController()
  const waiting = new Map<string, (signal: AbortSignal) => Promise<unknown>>()
  let running = 0

  async function work(name: string, errand: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    running += 1
    try {
      const signal = deadline(options.deadlineMs, stopping.signal)
      await within(signal, errand(signal))
    } catch (error) {
      if (!stopping.signal.aborted) logger.debug({ err: error, errand: name }, 'network errand failed')
    } finally {
      running -= 1
      next()
    }
  }

  function next(): void {
    for (const [name, errand] of waiting) {
      if (running >= options.concurrency) return
      waiting.delete(name)
      void work(name, errand)
    }
  }

  return {
    run(name, errand) {
      if (stopping.signal.aborted) return
      if (waiting.size >= options.maxWaiting && !waiting.has(name)) {
        logger.warn({ errand: name }, 'too many network errands wait, this one is dropped')
        return
      }
      waiting.set(name, errand)
      next()
    },
    stop() {
      waiting.clear()
      stopping.abort()
    },
  }
}
