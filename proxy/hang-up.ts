/** SIGHUP: by custom it asks a daemon to read its settings anew; at a terminal it says that the terminal is gone. */
import { closeSync, openSync } from 'node:fs'

export interface HangUp extends Disposable {
  /** From now on called at each signal, one after the other; what it rejects with ends the process. */
  onReload(reload: () => Promise<void>): void
}

/** @param stop called when the terminal that the process was started at is gone */
export function handleHangUp(stop: () => void): HangUp {
  const atTerminal = hasTerminal()
  let reload: (() => Promise<void>) | undefined
  let reloading: Promise<void> = Promise.resolve()
  const onSignal = () => {
    if (atTerminal && !hasTerminal()) stop()
    else reloading = reloading.then(() => reload?.())
  }
  process.on('SIGHUP', onSignal)
  return {
    onReload(take) {
      reload = take
    },
    [Symbol.dispose]() {
      process.off('SIGHUP', onSignal)
    },
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
