/** SIGTERM and SIGINT: the first asks the process to end, one that comes later ends it at once. */

/** At a terminal, Ctrl-C reaches the process and npm, and npm passes it on. */
const SAME_MS = 1_000

export type StopSignal = 'SIGTERM' | 'SIGINT'

/**
 * @param stop called once, at the first of them
 * @param sameMs how long further ones are taken for the same word, said twice
 */
export function onStopSignal(stop: (name: StopSignal) => void, sameMs = SAME_MS): void {
  const names: readonly StopSignal[] = ['SIGTERM', 'SIGINT']
  let isStopping = false
  const onSignal = (name: StopSignal) => {
    if (isStopping) return
    isStopping = true
    setTimeout(() => {
      for (const one of names) process.off(one, onSignal)
    }, sameMs).unref()
    stop(name)
  }
  for (const name of names) process.on(name, onSignal)
}
