/**
 * A real HTTP server that stands in for a model server and misbehaves when told to, so that the proxy is tried against
 * sockets and not against a mock. It records what it was sent and when each request ended.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { isUpstreamMode, type UpstreamHandler, type UpstreamMode, upstreamModes } from './upstream-modes.ts'
import { createRecord, DEADLINE_MS, type UpstreamRequest, within } from './upstream-record.ts'

export type { Exchange, UpstreamHandler, UpstreamMode } from './upstream-modes.ts'
export * from './upstream-modes.ts'
export type { UpstreamRequest } from './upstream-record.ts'

export interface UpstreamOptions {
  /** What a request gets that asks for nothing else; `ok` unless told. */
  mode?: UpstreamMode
  /** Answers in place of `mode`. */
  handler?: UpstreamHandler
  /** Closes sockets that have been idle this long, unannounced, as uvicorn does after 5 s. Not at all unless told. */
  closeIdleAfterMs?: number
  /** How many bytes of each body are kept; all are counted and hashed. 1 MiB unless told. */
  keepBytes?: number
}

export interface Upstream extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** For what is not told here, such as upgrades. */
  readonly server: Server
  /** Every request so far, in order of arrival. */
  readonly requests: readonly UpstreamRequest[]
  /** How many sockets were ever opened, and how many are open. */
  readonly sockets: { readonly opened: number; readonly open: number }
  mode: UpstreamMode
  /** Modes for the next requests, one each, before `mode` holds again. */
  queue(...modes: UpstreamMode[]): void
  /** Drops what it remembers of requests, for runs of very many. */
  forget(): void
  /**
   * The earliest request not yet handed out, as soon as its headers have arrived. Waits a minute unless told.
   *
   * @param options.path passes over those for others, such as what the sidecar asks for itself
   */
  nextRequest(options?: { path?: string; signal?: AbortSignal }): Promise<UpstreamRequest>
}

const KEEP_BYTES = 1024 * 1024
/** More than any proxy lets through. */
const MAX_HEADER_BYTES = 256 * 1024

/**
 * What a request gets is decided by the first of these that is there: its header `x-test-mode`, its path
 * `/mode/<mode>`, the queue, the handler, `mode`.
 */
export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const requests: UpstreamRequest[] = []
  const queued: UpstreamMode[] = []
  const numbers = new Map<Socket, number>()
  let opened = 0
  let handedOut = 0
  let arrival = Promise.withResolvers<void>()
  let mode = options.mode ?? 'ok'

  const choose = ({ headers, url = '' }: IncomingMessage): UpstreamHandler => {
    const asked = headers['x-test-mode']?.toString() ?? /^\/mode\/([\w-]+)/.exec(url)?.[1]
    if (asked !== undefined && !isUpstreamMode(asked)) throw new Error(`there is no mode ${asked}`)
    const chosen = asked ?? queued.shift()
    return chosen === undefined && options.handler ? options.handler : upstreamModes[chosen ?? mode]
  }

  const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
    const { request, released } = createRecord(incoming, response, {
      socketNumber: numbers.get(incoming.socket) ?? 0,
      keepBytes: options.keepBytes ?? KEEP_BYTES,
    })
    requests.push(request)
    arrival.resolve()
    arrival = Promise.withResolvers()
    try {
      await choose(incoming)({ incoming, response, request, released })
    } catch (error) {
      if (response.headersSent || response.destroyed) response.destroy()
      else response.writeHead(500, { 'content-type': 'text/plain' }).end(`test upstream: ${error}`)
    }
  }

  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES })
  server.on('connection', socket => {
    // A kept-alive socket collects one listener for each request it has carried.
    socket.setMaxListeners(0)
    numbers.set(socket, ++opened)
    socket.once('close', () => numbers.delete(socket))
  })
  server.on('request', (incoming, response) => void handle(incoming, response))
  if (options.closeIdleAfterMs !== undefined) closeIdle(server, options.closeIdleAfterMs)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    requests,
    sockets: {
      get opened() {
        return opened
      },
      get open() {
        return numbers.size
      },
    },
    get mode() {
      return mode
    },
    set mode(value) {
      mode = value
    },
    queue(...modes) {
      queued.push(...modes)
    },
    forget() {
      requests.length = 0
      handedOut = 0
    },
    async nextRequest({ path, signal = AbortSignal.timeout(DEADLINE_MS) } = {}) {
      for (let index = handedOut++; ; index = handedOut++) {
        while (requests[index] === undefined) await within(arrival.promise, signal)
        const request = requests[index] as UpstreamRequest
        if (path === undefined || request.url === path) return request
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of numbers.keys()) socket.destroy()
      await closed
    },
  }
}

/** By a timer of our own: Node's keep-alive time-out would announce itself in a `keep-alive` header. */
function closeIdle(server: Server, afterMs: number): void {
  const timers = new Map<Socket, NodeJS.Timeout>()
  const busy = (socket: Socket) => {
    clearTimeout(timers.get(socket))
    timers.delete(socket)
  }
  const idle = (socket: Socket) => {
    busy(socket)
    if (!socket.destroyed)
      timers.set(
        socket,
        setTimeout(() => socket.destroy(), afterMs),
      )
  }
  server.on('connection', socket => socket.once('close', () => busy(socket)))
  server.on('request', ({ socket }, response) => {
    busy(socket)
    response.once('finish', () => idle(socket))
  })
}
