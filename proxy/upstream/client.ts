/** Sends requests to the LLM servers: connects, gives up in time, tries again where that is safe, and cancels. */
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, errors } from 'undici'
import type { Upstreams } from './upstreams.ts'

/** A request as it goes out. */
export interface Delivery {
  method: string
  /** Path and query string as the client wrote them. */
  path: string
  /** Names and values in turn, without `host`, which is the upstream's own. */
  headers: readonly string[]
  /** What was read whole can be sent twice, a stream cannot. */
  body: Buffer | Readable | null
  /** Origins to try, best first; not empty. */
  origins: readonly string[]
  /** Whether the upstream may be asked twice: nothing changes there, or only the electricity bill. */
  repeatable: boolean
  /** Whether anybody here wants to know how sure the model was of its answer. */
  rateable: boolean
  /** What to send instead when none of the origins could be connected to. */
  instead?: () => Pick<Delivery, 'headers' | 'body' | 'origins' | 'instead'> | undefined
}

export interface AnswerHead {
  status: number
  /** The reason phrase. */
  message: string
  /** Names and values in turn, latin1, as the upstream wrote them. */
  headers: readonly Buffer[]
}

/** Takes an answer as it comes: `begin`, any number of `write`, `end`; or, at any point before the end, `fail`. */
export interface AnswerSink {
  begin(head: AnswerHead): void
  /**
   * @param seen what the upstream wrote, where the client is to get other bytes; then these may be empty
   * @returns false to be given nothing more until `Sending.resume`
   */
  write(bytes: Buffer, seen?: Buffer): boolean
  /** @param trailers names and values in turn, latin1 */
  end(trailers: readonly Buffer[]): void
  fail(error: Error): void
}

/** A request under way. */
export interface Sending {
  resume(): void
  /** The client has left; the upstream need not go on. The sink hears of it through `fail`, unless all was said. */
  cancel(reason: Error): void
}

export interface UpstreamClient {
  send(delivery: Delivery, sink: AnswerSink): Sending
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

/**
 * By undici's handlers and not by `request`, whose streams cost as much as all else on the way; and so that headers pass
 * as they were written, in name, order and number.
 */
export function createUpstreamClient(
  agents: UpstreamAgents,
  upstreams: Pick<Upstreams, 'failed' | 'answered'>,
): UpstreamClient {
  return { send: (delivery, sink) => new Attempts(agents, upstreams, delivery, sink) }
}

/** Sends a request until it is answered or there is nothing left to try. */
class Attempts implements Sending, Dispatcher.DispatchHandler {
  readonly #agents: UpstreamAgents
  readonly #upstreams: Pick<Upstreams, 'failed' | 'answered'>
  #delivery: Delivery
  readonly #sink: AnswerSink
  /** Which of the origins is being asked. */
  #at = 0
  /** Asked again over a connection of its own, since a kept one was found closed. */
  #fresh = false
  #begun = false
  #controller: Dispatcher.DispatchController | undefined
  #cancelled: Error | undefined

  constructor(
    agents: UpstreamAgents,
    upstreams: Pick<Upstreams, 'failed' | 'answered'>,
    delivery: Delivery,
    sink: AnswerSink,
  ) {
    this.#agents = agents
    this.#upstreams = upstreams
    this.#delivery = delivery
    this.#sink = sink
    this.#ask()
  }

  resume(): void {
    this.#controller?.resume()
  }

  cancel(reason: Error): void {
    this.#cancelled = reason
    this.#controller?.abort(reason)
  }

  #ask(): void {
    const { method, path, headers, body } = this.#delivery
    const origin = this.#origin
    const { agent, freshAgent } = this.#agents
    const dispatcher = this.#fresh ? freshAgent : agent
    dispatcher.dispatch({ origin, method, path, headers: ['host', hostOf(origin), ...headers], body }, this)
  }

  get #origin(): string {
    const origin = this.#delivery.origins[this.#at]
    if (origin === undefined) throw new TypeError('there is no origin to deliver to')
    return origin
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cancelled) controller.abort(this.#cancelled)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, message = ''): void {
    // Informational answers concern the connection to the upstream; the real one follows.
    if (status < 200) return
    this.#begun = true
    this.#upstreams.answered(this.#origin)
    this.#sink.begin({ status, message, headers: (controller.rawHeaders ?? []) as readonly Buffer[] })
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (!this.#sink.write(bytes)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#sink.end((controller.rawTrailers ?? []) as readonly Buffer[])
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#canAskAgain(error)) this.#ask()
    else this.#sink.fail(error)
  }

  #canAskAgain(error: Error): boolean {
    const { body, origins, repeatable } = this.#delivery
    // A stream can be sent once only.
    if (this.#begun || this.#cancelled || (body !== null && !Buffer.isBuffer(body))) return false
    if (repeatable && !this.#fresh && closedWhileIdle(error)) {
      this.#fresh = true
      return true
    }
    if (!neverArrived(error)) return false
    this.#upstreams.failed(this.#origin)
    if (this.#at + 1 < origins.length) {
      this.#at++
      return true
    }
    const instead = this.#delivery.instead?.()
    if (!instead) return false
    this.#delivery = { ...this.#delivery, ...instead }
    this.#at = 0
    this.#fresh = false
    return true
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
