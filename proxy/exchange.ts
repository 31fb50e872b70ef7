/** One proxied request, from the client's first byte to the last of the answer, however it ends. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { performance } from 'node:perf_hooks'
import type { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { UNKNOWN_MODEL } from '../router/model-variant.ts'
import { type Advice, type Adviser, type Departure, expectationOf } from './advise.ts'
import type { Afterwards } from './afterwards.ts'
import type { AnswerIndex, AnswerRecord } from './answer-index.ts'
import type { Callers } from './callers.ts'
import { sendError } from './errors.ts'
import { headersToClient, headersToUpstream, trailersToClient, withLength } from './forward-headers.ts'
import { HeldAnswer } from './held-answer.ts'
import { asksForJson } from './implicit/asks-for-json.ts'
import { insightHeaders, RECEIPT_HEADER } from './insight-headers.ts'
import type { Metrics } from './metrics.ts'
import { operationOf } from './observe/operation.ts'
import type { Follower, ResponseObserver } from './observe-response.ts'
import { readModel } from './query/model.ts'
import { carriesQuery } from './query-text.ts'
import type { Receipts } from './receipts.ts'
import { limited, readBody, tooLarge } from './request-body.ts'
import { nextRoute } from './routing/routing.ts'
import { describeRoute, steeredBody } from './steering.ts'
import type { AnswerHead, AnswerSink, Delivery, Sending, UpstreamClient } from './upstream/client.ts'
import { upstreamFailure } from './upstream/failure.ts'
import type { Upstreams } from './upstream/upstreams.ts'

export interface ExchangeComponents {
  client: UpstreamClient
  upstreams: Upstreams
  adviser: Adviser
  answers: AnswerIndex
  afterwards: Afterwards
  receipts: Receipts
  callers: Callers
  metrics: Metrics
  observer: ResponseObserver
  logger: Pick<FastifyBaseLogger, 'warn'>
}

export interface ExchangeOptions {
  /** Larger request bodies pass through without advice. */
  adviceBodyBytes: number
  /** Larger request bodies are refused; 0 for no limit. */
  maxBodyBytes: number
  /** Whether the upstream is sent the advice as well. */
  upstreamHeaders: boolean
  /** Whether the upstream is asked how sure it is of answers that can be rated. */
  ownLogprobs: boolean
  /** While a stream has not begun, a comment is sent this often; 0 for never. */
  keepAliveCommentMs: number
}

/** What the client sent. */
interface Taken {
  body: Buffer | Readable | null
  /** The same where a question may be read in it. */
  question: Buffer | undefined
}

type Contents = Pick<Delivery, 'headers' | 'body' | 'origins' | 'instead'>

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export class Exchange implements AnswerSink, Departure {
  readonly #components: ExchangeComponents
  readonly #options: ExchangeOptions
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #reply: FastifyReply
  readonly #url: string
  /** Whether the path carries a question. */
  readonly #query: boolean
  readonly #startedAt = performance.now()
  /** For the answer index and the receipt; undefined when there is nothing to be said about the question. */
  #record: AnswerRecord | undefined
  /** Until its answer has begun. */
  #question: Buffer | undefined
  #told: Readonly<Record<string, string>> = {}
  /** Only where something is to be changed of the request. */
  #advice: Advice | undefined
  #sending: Sending | undefined
  #follower: Follower | undefined
  #comments: NodeJS.Timeout | undefined
  #leaving: AbortController | undefined
  #left = false
  /** The server broke off in the middle of its answer. */
  #broken = false
  /** The headers are out, or go with what follows them. */
  #flowing = false

  constructor(components: ExchangeComponents, options: ExchangeOptions, request: FastifyRequest, reply: FastifyReply) {
    this.#components = components
    this.#options = options
    this.#request = request.raw
    this.#response = reply.raw
    this.#reply = reply
    this.#url = request.originalUrl
    this.#query = request.method === 'POST' && carriesQuery(this.#url)
    this.#response.once('close', () => this.#close())
  }

  get left(): boolean {
    return this.#left
  }

  get signal(): AbortSignal {
    this.#leaving ??= new AbortController()
    if (this.#left) this.#leaving.abort()
    return this.#leaving.signal
  }

  get caller(): string | undefined {
    const { headers, socket } = this.#request
    return this.#components.callers.of(headers.authorization ?? headers['x-api-key']?.toString(), socket.remoteAddress)
  }

  /** @throws {HttpError} for the client, when its body is too large or ends early */
  async forward(): Promise<void> {
    const { body, question } = await this.#takeBody()
    if (this.#left) return
    if (!this.#query) return this.#send(body, this)
    if (this.#advisedFirst) {
      await this.#ask(question)
      if (this.#left) return
      const { steered, domain } = this.#advice ?? {}
      if (!steered?.route?.only) return this.#send(body, this)
      this.#reply.headers(this.#told).send(describeRoute(steered.route, domain?.name))
      return
    }
    // What is told goes with the answer: while the server works on it, the question is looked up.
    const held = this.#components.adviser.inline ? undefined : new HeldAnswer(this, () => this.#sending?.resume())
    this.#send(body, held ?? this)
    try {
      await this.#ask(question)
    } finally {
      held?.release()
    }
  }

  /** Whether what the server is sent depends on what is known of the question. */
  get #advisedFirst(): boolean {
    const { upstreamHeaders, ownLogprobs } = this.#options
    return upstreamHeaders || ownLogprobs || this.#components.adviser.steers
  }

  #send(body: Buffer | Readable | null, sink: AnswerSink): void {
    const { method = 'GET' } = this.#request
    const repeatable = this.#query || IDEMPOTENT.has(method)
    const rateable = this.#record !== undefined
    this.#sending = this.#components.client.send(
      { method, path: this.#url, ...this.#contents(body), repeatable, rateable },
      sink,
    )
  }

  #contents(body: Buffer | Readable | null): Contents {
    const { upstreams } = this.#components
    const { rawHeaders, headers } = this.#request
    const list = headersToUpstream(rawHeaders, headers.connection)
    if (this.#options.upstreamHeaders) for (const name in this.#told) list.push(name, this.#told[name] as string)
    const steered = this.#advice?.steered
    if (!steered || !Buffer.isBuffer(body)) {
      const model = upstreams.several && Buffer.isBuffer(body) ? readModel(body) : undefined
      return { headers: list, body, origins: upstreams.choose(model) }
    }
    const bytes = steeredBody(this.#url, body, steered)
    const model = upstreams.several ? readModel(bytes) : undefined
    return {
      headers: withLength(list, bytes.length),
      body: bytes,
      origins: upstreams.choose(model),
      instead: () => this.#nextBest(body),
    }
  }

  /** When no server of the model that was chosen can be connected to. */
  #nextBest(body: Buffer): Contents | undefined {
    const advice = this.#advice
    const route = advice?.steered?.route && nextRoute(advice.steered.route)
    if (!advice || !route) return undefined
    const { variant, insight } = route.chosen
    const record = advice.record && { ...advice.record, model: variant }
    if (record) {
      // What was expected was expected of another model.
      delete record.expected
      Object.assign(record, expectationOf(insight))
    }
    this.#take({ ...advice, insight, record, steered: { refinement: undefined, ...advice.steered, route } })
    return this.#contents(body)
  }

  /** Reads the body where somebody here needs to know it, and else hands it on as it comes. */
  async #takeBody(): Promise<Taken> {
    const { adviceBodyBytes, maxBodyBytes } = this.#options
    const { headers } = this.#request
    const length = headers['content-length']
    if (maxBodyBytes > 0 && Number(length ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes)
    if (headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) {
      return { body: null, question: Buffer.alloc(0) }
    }
    const body = maxBodyBytes > 0 && length === undefined ? limited(this.#request, maxBodyBytes) : this.#request
    const wanted = this.#query || (this.#components.upstreams.several && isJson(this.#request.rawHeaders))
    if (!wanted) return { body, question: undefined }
    const { bytes, replay } = await readBody(body, adviceBodyBytes)
    return { body: bytes ?? replay, question: headers['content-encoding'] === undefined ? bytes : undefined }
  }

  async #ask(body: Buffer | undefined): Promise<void> {
    const { adviser, metrics } = this.#components
    const advice = await adviser.advise(this.#url, this.#request.headers, body, this)
    metrics.adviceTaken(advice.result, advice.insight?.grade ?? 'none', (performance.now() - this.#startedAt) / 1000)
    this.#take(advice)
    this.#question = advice.record && body
  }

  #take(advice: Advice): void {
    if (advice.steered) this.#advice = advice
    if (advice.result === 'opted_out') return
    this.#record = advice.record
    this.#told = insightHeaders({ ...advice, debug: advice.hints.debug })
  }

  /** What we tell; the client is given a receipt as well. */
  #tell(record: AnswerRecord | undefined): Record<string, string> {
    return record ? { ...this.#told, [RECEIPT_HEADER]: this.#components.receipts.seal(record) } : this.#told
  }

  begin({ status, message, headers }: AnswerHead): void {
    const { answers, upstreams } = this.#components
    const response = this.#response
    const record = status < 400 ? this.#record : undefined
    const { list, type, encoding } = headersToClient(headers, this.#tell(record), location =>
      throughUs(location, upstreams),
    )
    // An answer that came before the whole question leaves this connection in the middle of it.
    if (!this.#request.complete) list.push('connection', 'close')
    // No header but the upstream's and ours.
    response.sendDate = false
    response.writeHead(status, message, list)
    this.#reply.hijack()
    // The first token may be a minute away; clients and balancers want to know now that the request was taken. A body
    // that is here already goes with the headers in one packet.
    process.nextTick(() => this.#flowing || response.destroyed || response.flushHeaders())
    this.#comment(type, encoding)
    if (record) answers.begun(record)
    if (status < 400 && this.#request.method === 'POST') this.#observe(type, encoding, record)
    if (record && !this.#follower) answers.ended(record)
  }

  write(bytes: Buffer, seen = bytes): boolean {
    this.#flowing = true
    clearInterval(this.#comments)
    const response = this.#response
    const ready = bytes.length === 0 || response.write(bytes)
    this.#follower?.write(seen)
    if (!ready) response.once('drain', () => this.#sending?.resume())
    return ready
  }

  end(trailers: readonly Buffer[]): void {
    this.#flowing = true
    const response = this.#response
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(trailersToClient(trailers))
    response.end()
    this.#follower?.end(true)
  }

  fail(error: Error): void {
    const { logger } = this.#components
    if (this.#left) return
    if (this.#response.headersSent) {
      logger.warn({ err: error }, 'an answer broke off')
      this.#broken = true
      // Not `end`: the client must see that it was not all.
      this.#response.destroy()
      return
    }
    // Where the server's reason phrase was what failed, it must not stay behind.
    this.#response.statusMessage = ''
    const failure = upstreamFailure(error)
    logger.warn({ code: failure.code }, failure.message)
    sendError(this.#reply, failure)
  }

  /** Follows a normal end as well. */
  #close(): void {
    const { metrics } = this.#components
    const response = this.#response
    if (!response.writableFinished) {
      this.#left = true
      metrics.clientLeft()
      const reason = new Error('the client has left')
      this.#leaving?.abort(reason)
      this.#sending?.cancel(reason)
    }
    clearInterval(this.#comments)
    this.#follower?.end(false)
    const seconds = (performance.now() - this.#startedAt) / 1000
    metrics.responded(this.#query ? 'query' : 'other', response.headersSent ? response.statusCode : 'left', seconds)
  }

  #comment(type: string, encoding: string | undefined): void {
    const { keepAliveCommentMs } = this.#options
    if (keepAliveCommentMs === 0 || encoding !== undefined || !type.startsWith('text/event-stream')) return
    this.#comments = setInterval(() => this.#response.write(': keep-alive\n\n'), keepAliveCommentMs)
  }

  #observe(type: string, encoding: string | undefined, record: AnswerRecord | undefined): void {
    const { observer, metrics, afterwards } = this.#components
    const wantsJson = () => {
      const question = this.#question
      this.#question = undefined
      return question !== undefined && asksForJson(this.#url, question)
    }
    this.#follower = observer.follow({ type, encoding, wantsJson }, seen => {
      const model = record?.model === UNKNOWN_MODEL ? undefined : record?.model
      metrics.answerObserved({ operation: operationOf(this.#url), model, startedAt: this.#startedAt, seen })
      if (record) afterwards.ended(record, seen, this.#request, this.#startedAt, this.#broken)
    })
  }
}

/** A redirect to the upstream's own address, which clients may not reach, becomes one to the same path here. */
function throughUs(location: string, upstreams: Upstreams): string {
  const url = URL.parse(location)
  const home = url && upstreams.choose(undefined).includes(url.origin)
  return home ? url.pathname + url.search + url.hash : location
}

function isJson(rawHeaders: readonly string[]): boolean {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && /^content-type$/i.test(name))
  return at !== -1 && (rawHeaders[at + 1]?.startsWith('application/json') ?? false)
}
