/** Deadlines that many waits may share without Node warning of a leak. */
import { setMaxListeners } from 'node:events'

/** Aborts after `ms`, or earlier with any of the signals given. */
export function deadline(ms: number, ...signals: (AbortSignal | undefined)[]): AbortSignal {
  const given = signals.filter(signal => signal !== undefined)
  const signal = AbortSignal.any([AbortSignal.timeout(ms), ...given])
  setMaxListeners(0, signal)
  return signal
}

/** Settles like `promise`, or rejects with the signal's reason when that comes first. */
export async function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  // whoever loses the race may still fail, which then concerns nobody
  promise.catch(() => {})
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
