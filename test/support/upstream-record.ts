/** What the test upstream remembers of one request, and the gate by which a test lets its answer go on. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export interface ReceivedBody {
  /** The first of it, up to `keepBytes`. */
  bytes: Buffer
  length: number
  /** Of all of it, 64 hex digits. */
  sha256: string
  /** False when the client left before its end. */
  complete: boolean
  rawTrailers: string[]
}

export interface UpstreamRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingHttpHeaders
  /** Which socket it came on: 1 for the first that was opened. */
  readonly socketNumber: number
  /** All of the body, or what came of it before the client left. */
  readonly body: Promise<ReceivedBody>
  /**
   * Settles when the answer is through or the client has gone; `aborted` tells which. Rejects when neither has happened
   * within a minute of asking, so that a proxy which forgets the upstream fails its test instead of hanging it.
   */
  readonly closed: Promise<{ aborted: boolean }>
  /** When the client left before the answer was through; `performance.now()`, as are all times here. */
  readonly abortedAt: number | undefined
  readonly socketClosedAt: number | undefined
  /** Bytes of the answer that were handed to the socket so far, headers included. */
  readonly bytesSent: number
  /** Lets a gated answer take its next step, or its next `steps`. */
  release(steps?: number): void
}

export interface Recorder {
  request: UpstreamRequest
  released(): Promise<void>
}

/** How long a test waits for what should happen at once, on a machine that is busy with other things. */
export const DEADLINE_MS = 60_000

export function createRecord(
  incoming: IncomingMessage,
  response: ServerResponse,
  { socketNumber, keepBytes }: { socketNumber: number; keepBytes: number },
): Recorder {
  const { socket } = incoming
  const sentBefore = socket.bytesWritten
  const gone = new AbortController()
  const closed = Promise.withResolvers<{ aborted: boolean }>()
  let abortedAt: number | undefined
  let socketClosedAt: number | undefined
  let bytesSent: number | undefined
  let steps = 0
  let step = Promise.withResolvers<void>()

  socket.once('close', () => {
    socketClosedAt = performance.now()
  })
  response.once('close', () => {
    bytesSent = socket.bytesWritten - sentBefore
    if (!response.writableFinished) abortedAt = performance.now()
    gone.abort()
    closed.resolve({ aborted: !response.writableFinished })
  })

  return {
    request: {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      rawHeaders: incoming.rawHeaders,
      headers: incoming.headers,
      socketNumber,
      body: receive(incoming, keepBytes),
      get closed() {
        return within(closed.promise, AbortSignal.timeout(DEADLINE_MS))
      },
      get abortedAt() {
        return abortedAt
      },
      get socketClosedAt() {
        return socketClosedAt
      },
      get bytesSent() {
        return bytesSent ?? socket.bytesWritten - sentBefore
      },
      release(count = 1) {
        steps += count
        step.resolve()
      },
    },
    async released() {
      while (steps === 0) {
        step = Promise.withResolvers()
        await within(step.promise, gone.signal)
      }
      steps--
    },
  }
}

async function receive(incoming: IncomingMessage, keepBytes: number): Promise<ReceivedBody> {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let length = 0
  incoming.on('data', (part: Buffer) => {
    hash.update(part)
    if (length < keepBytes) kept.push(part.subarray(0, keepBytes - length))
    length += part.length
  })
  incoming.on('error', () => {}) // The client left: `complete` says so.
  await once(incoming, 'close').catch(() => {})
  return {
    bytes: Buffer.concat(kept),
    length,
    sha256: hash.digest('hex'),
    complete: incoming.complete,
    rawTrailers: incoming.rawTrailers,
  }
}

/** The promise, or a rejection with the signal's reason if that comes first. */
export async function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const stopped = Promise.withResolvers<never>()
  const stop = () => stopped.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, stopped.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
