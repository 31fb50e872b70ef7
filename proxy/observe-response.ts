/** Reads along on a copy of an answer; it may give up, but it never touches, delays or holds up the original. */
import { performance } from 'node:perf_hooks'
import { Allowance } from './observe/allowance.ts'
import { createBacklog } from './observe/backlog.ts'
import { createInflater } from './observe/inflate.ts'
import { type Observation, type ObservationResult, Tally } from './observe/observation.ts'
import { answerKind, createReader } from './observe/readers.ts'

export type { Observation } from './observe/observation.ts'

/** Told of an answer's bytes after they have been handed on. */
export interface Follower {
  write(bytes: Buffer): void
  /** @param whole false when the answer broke off */
  end(whole: boolean): void
}

export interface ResponseObserver {
  /**
   * Follows an answer and calls `done` once, soon after it has ended, well or not. Undefined when it holds neither JSON
   * nor events, so that there is nothing to read.
   */
  follow(
    headers: { type: string; encoding: string | undefined; wantsJson?: () => boolean },
    done: (seen: Observation) => void,
  ): Follower | undefined
}

export interface ObserverOptions {
  /** Of one document, or one event of a stream; larger ones are not read. @default 1 MiB */
  maxBytes?: number
  /** Of a compressed answer, inflated. @default 64 MiB */
  maxInflatedBytes?: number
  /** What all observation together may hold in memory. @default 64 MiB */
  maxMemoryBytes?: number
}

const MIB = 1024 * 1024

/** @param onError told of what `done` throws, and of our own mistakes; nobody else is */
export function createResponseObserver(
  { onError }: { onError(error: unknown): void },
  options: ObserverOptions = {},
): ResponseObserver {
  const { maxBytes = MIB, maxInflatedBytes = 64 * MIB, maxMemoryBytes = 64 * MIB } = options
  const allowance = new Allowance(maxMemoryBytes)
  const backlog = createBacklog(allowance)

  return {
    follow({ type, encoding = 'identity', wantsJson }, done) {
      const kind = answerKind(type)
      if (!kind) return undefined
      const tally = new Tally(wantsJson)
      const reader = createReader(kind, tally, { maxBytes, allowance })
      /** Why it has stopped before the end. */
      let givenUp: ObservationResult | undefined
      let endedAt: number | undefined
      let told = false

      const tell = (result: ObservationResult) => {
        if (told) return
        told = true
        const { firstTokenAt, lastTokenAt } = reader
        reader.release()
        inflater?.release()
        const seen = tally.summarise(givenUp ?? result, kind !== 'document')
        try {
          done({ ...seen, firstTokenAt, lastTokenAt, endedAt: endedAt ?? performance.now() })
        } catch (error) {
          onError(error)
        }
      }
      const giveUp = (why: ObservationResult) => {
        givenUp ??= why
        reader.release()
        inflater?.release()
        if (endedAt !== undefined) tell(givenUp)
      }
      /** So that a mistake of ours in reading costs the observation and nothing else. */
      const attempt = (work: () => void) => {
        if (givenUp) return
        try {
          work()
        } catch (error) {
          onError(error)
          giveUp('unreadable')
        }
      }
      const inflater =
        encoding === 'identity'
          ? undefined
          : createInflater(
              encoding,
              { maxBytes: maxInflatedBytes, allowance },
              {
                inflated: (bytes, at) => attempt(() => reader.write(bytes, at)),
                failed: () => giveUp('compressed'),
              },
            )
      if (encoding !== 'identity' && !inflater) giveUp('compressed')

      const finish = (whole: boolean) => {
        if (givenUp || !whole) return tell('broken_off')
        const end = () => attempt(() => tell(reader.end()))
        if (inflater) inflater.end(end)
        else end()
      }
      return {
        write(bytes) {
          if (givenUp) return
          const at = performance.now()
          const waits = backlog.add(bytes.length, () => attempt(() => (inflater ?? reader).write(bytes, at)))
          if (!waits) giveUp('gave_up')
        },
        end(whole) {
          if (endedAt !== undefined) return
          endedAt = performance.now()
          if (!backlog.add(0, () => finish(whole))) giveUp('gave_up')
        },
      }
    },
  }
}
