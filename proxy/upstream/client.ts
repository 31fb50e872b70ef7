/** Sends requests to the LLM servers: connects, gives up in time, tries again where that is safe, and cancels. */
import { readFileSync } from 'node:fs'
import { Agent, type Dispatcher, errors } from 'undici'
import type { Upstreams } from './upstreams.ts'

/** Under this key of a request's headers travels what else we know of it; reply-from has no other place for it. */
export const DELIVERY: unique symbol = Symbol('qis.delivery')

/** Under this key of an answer's stream are its trailers, complete when it has ended; reply-from hands on no others. */
export const TRAILERS: unique symbol = Symbol('qis.trailers')

export interface Delivery {
  /** Aborted when the client has left. */
  signal: AbortSignal
  /** The whole body where it was read, so that it can be sent again; it takes the place of the stream. */
  body: Buffer | undefined
  /** Origins to try, best first; not empty. */
  origins: readonly string[]
  /** Whether the upstream may be asked twice: nothing changes there, or only the electricity bill. */
  repeatable: boolean
}

type RequestOptions = Dispatcher.RequestOptions & { headers: Record<string | symbol, unknown> }
type RequestCallback = (error: Error | null, data: Dispatcher.ResponseData) => void

/** What @fastify/reply-from needs of a client. */
export interface UpstreamClient {
  request(options: RequestOptions, callback: RequestCallback): void
}

export interface UpstreamClientOptions {
  connectTimeoutMs: number
  /** Until the headers have come; 0 for ever. */
  firstByteTimeoutMs: number
  /** Between two chunks; 0 for ever. */
  idleTimeoutMs: number
  tls: TlsOptions
}

/** PEM texts. */
export interface TlsOptions {
  ca?: string
  cert?: string
  key?: string
}

/** uvicorn, under vLLM, closes idle sockets after 5 s; ours must let go first. */
const KEEP_ALIVE_MS = 4_000
const MAX_HEADER_BYTES = 64 * 1024

export interface UpstreamAgents extends AsyncDisposable {
  readonly agent: Agent
  /** Uses each connection for one request. */
  readonly freshAgent: Agent
}

/**
 * undici Agents of our own: they verify TLS certificates (reply-from's default does not), and their three time-outs are
 * separate, because undici's five minutes kill long generations.
 */
export function createUpstreamAgents(options: UpstreamClientOptions): UpstreamAgents {
  const common = {
    connect: { timeout: options.connectTimeoutMs, ...options.tls },
    headersTimeout: options.firstByteTimeoutMs,
    bodyTimeout: options.idleTimeoutMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  }
  const agent = new Agent({ ...common, keepAliveTimeout: KEEP_ALIVE_MS, keepAliveMaxTimeout: KEEP_ALIVE_MS })
  const freshAgent = new Agent({ ...common, pipelining: 0 })
  return {
    agent,
    freshAgent,
    async [Symbol.asyncDispose]() {
      await Promise.all([agent.destroy(), freshAgent.destroy()])
    },
  }
}

export function createUpstreamClient(
  agents: UpstreamAgents,
  upstreams: Pick<Upstreams, 'failed' | 'answered'>,
): UpstreamClient {
  const { agent, freshAgent } = agents

  async function deliver(
    request: Dispatcher.RequestOptions,
    { signal, body, origins, repeatable }: Delivery,
  ): Promise<Dispatcher.ResponseData> {
    // A stream can be sent once only, unless the failure came before any of it was read.
    const replayable = body !== undefined || request.body === undefined || request.body === null || request.body === ''
    const waiting = [...origins]
    let fresh = false
    for (;;) {
      const origin = waiting[0]
      if (origin === undefined) throw new TypeError('there is no origin to deliver to')
      try {
        const response = await (fresh ? freshAgent : agent).request({
          ...request,
          origin,
          headers: { ...(request.headers as Record<string, string>), host: hostOf(origin) },
          body: body ?? request.body ?? null,
          signal,
        })
        upstreams.answered(origin)
        return { ...response, body: Object.assign(response.body, { [TRAILERS]: response.trailers }) }
      } catch (error) {
        if (signal.aborted || !replayable) throw error
        if (repeatable && !fresh && closedWhileIdle(error)) {
          fresh = true
        } else if (neverArrived(error)) {
          upstreams.failed(origin)
          waiting.shift()
          if (waiting.length === 0) throw error
        } else {
          throw error
        }
      }
    }
  }

  return {
    request({ headers, ...rest }, callback) {
      const { [DELIVERY]: delivery, ...plain } = headers
      deliver({ ...rest, headers: plain as Record<string, string> }, delivery as Delivery).then(
        response => callback(null, response),
        error => callback(error, undefined as never),
      )
    },
  }
}

/** Of the few origins there are; making a URL costs more than all else here. */
const hosts = new Map<string, string>()

function hostOf(origin: string): string {
  let host = hosts.get(origin)
  if (host === undefined) {
    host = new URL(origin).host
    hosts.set(origin, host)
  }
  return host
}

/** The connection could not be made, so nothing was asked of anybody. */
function neverArrived(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)
}

/** A kept-alive socket that had answered before was closed before it answered this request. */
function closedWhileIdle(error: unknown): boolean {
  if (error instanceof errors.SocketError) return (error.socket?.bytesRead ?? 0) > 0
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET'
}

/** @throws when a file cannot be read; the error names it */
export function readTlsFiles(files: {
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}): TlsOptions {
  const read = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path, 'utf8'))
  const [ca, cert, key] = [read(files.ca), read(files.cert), read(files.key)]
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}
