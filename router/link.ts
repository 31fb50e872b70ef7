/** Keeps the network up: starts it, and again at growing intervals where it cannot start or has ended by itself. */
import type { Network, NetworkHandlers } from './network/network.ts'
import type { Logger } from './telemetry.ts'

/** Of a network that should be up and is not. */
export interface Outage {
  /** What came of the last attempt, in a line. */
  problem: string
  /** Times in a row that it could not be started, or ended soon after it was. */
  failures: number
  /** Of the next attempt, Unix seconds. */
  retryAt: number
}

export interface LinkStatus {
  networkUp: boolean
  /** While the network is not up though it should be. */
  outage?: Outage
}

export interface Link {
  readonly up: boolean
  status(): LinkStatus
  /**
   * Resolves when the first attempt has been made, whatever has come of it.
   *
   * @param onUp called when the network is up, for the first time and again
   */
  start(handlers: Omit<NetworkHandlers, 'lost'>, onUp: () => void): Promise<void>
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000

export function createLink(
  components: {
    network: Pick<Network, 'start'>
    logger: Logger
    /** Unix seconds. */
    now(): number
    random(): number
    /** Aborted when there is to be no further attempt. */
    stopping: AbortSignal
  },
  { firstRetryMs = FIRST_RETRY_MS, lastRetryMs = LAST_RETRY_MS } = {},
): Link {
  const { network, logger, now, random, stopping } = components
  let upSince: number | undefined
  let outage: Outage | undefined
  let failures = 0
  let tell = () => {}
  const isUp = () => upSince !== undefined && !stopping.aborted

  async function attempt(handlers: NetworkHandlers): Promise<void> {
    try {
      await network.start(handlers)
    } catch (error) {
      if (stopping.aborted) return
      const again = failures > 0
      retry(handlers, error instanceof Error ? error.message : String(error))
      // the first says it all, and the last may be far away
      logger[again ? 'debug' : 'warn'](
        { err: error, ...outage },
        again ? 'the network could not start again' : 'the network could not start; the proxy serves on without it',
      )
      return
    }
    if (stopping.aborted) return
    if (outage) logger.info({ failures }, 'the network is up again')
    outage = undefined
    upSince = now()
    tell()
  }

  function lost(handlers: NetworkHandlers): void {
    if (upSince === undefined || stopping.aborted) return
    // one that keeps ending soon after it started is no better than one that does not start
    if ((now() - upSince) * 1000 >= lastRetryMs) failures = 0
    upSince = undefined
    retry(handlers, 'the network has ended by itself')
    logger.warn({ ...outage }, 'the network has ended; the proxy serves on without it')
  }

  function retry(handlers: NetworkHandlers, problem: string): void {
    const most = Math.min(lastRetryMs, firstRetryMs * 2 ** failures)
    failures += 1
    // half to all of it, so that many nodes do not come back in step
    const delayMs = most * (0.5 + random() / 2)
    outage = { problem, failures, retryAt: Math.ceil(now() + delayMs / 1000) }
    const timer = setTimeout(() => {
      stopping.removeEventListener('abort', cancel)
      void attempt(handlers)
    }, delayMs).unref()
    const cancel = () => clearTimeout(timer)
    stopping.addEventListener('abort', cancel, { once: true })
  }

  return {
    get up() {
      return isUp()
    },
    status: () => ({ networkUp: isUp(), ...(outage && { outage }) }),
    async start(given, onUp) {
      tell = onUp
      const handlers: NetworkHandlers = { ...given, lost: () => lost(handlers) }
      await attempt(handlers)
    },
  }
}
