/** Everything that is the upstream's: handed on and back byte for byte, with advice beside it where there is a question. */
import { performance } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Agent } from 'undici'
import { modelVariant, UNKNOWN_MODEL } from '../router/model-variant.ts'
import type { Advice, Adviser } from './advise.ts'
import type { AnswerIndex, AnswerRecord } from './answer-index.ts'
import { sendError } from './errors.ts'
import { insightHeaders, withoutInsight } from './insight-headers.ts'
import type { Metrics } from './metrics.ts'
import { operationOf } from './observe/operation.ts'
import { createResponseObserver, type Observation } from './observe-response.ts'
import { readModel } from './query/model.ts'
import { carriesQuery } from './query-text.ts'
import type { Receipts } from './receipts.ts'
import { limited, readBody, tooLarge } from './request-body.ts'
import { DELIVERY, type Delivery, TRAILERS, type UpstreamClient } from './upstream/client.ts'
import { upstreamFailure } from './upstream/failure.ts'
import type { Upstreams } from './upstream/upstreams.ts'

export interface PassThroughComponents {
  client: UpstreamClient
  upstreams: Upstreams
  adviser: Adviser
  answers: AnswerIndex
  receipts: Receipts
  metrics: Metrics
  logger: Pick<FastifyBaseLogger, 'warn'>
}

export interface PassThroughOptions {
  /** Larger request bodies pass through without advice. */
  adviceBodyBytes: number
  /** Larger request bodies are refused; 0 for no limit. */
  maxBodyBytes: number
  /** Whether the upstream is sent the advice as well. */
  upstreamHeaders: boolean
  /** While a stream has not begun, a comment is sent this often; 0 for never. */
  keepAliveCommentMs: number
}

/** What is known of one proxied request while it is under way. */
interface Exchange {
  startedAt: number
  /** Aborted when the client has left before the end. */
  gone: AbortController
  /** The body, where it was read. */
  body: Buffer | undefined
  advice: Advice | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange | null
    /** As the client sent it. */
    contentType: string | undefined
  }
}

/** What reply-from hands to `onResponse`. */
interface Answer {
  stream: Readable & { [TRAILERS]: Record<string, string> }
  statusCode: number
}

type Hooks = NonNullable<FastifyHttpProxyOptions['replyOptions']>

const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']
/** `Expect` has been answered by Node already; trailers of a request undici cannot send. */
const NOT_SENT_ON = ['expect', 'trailer']
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export function passThrough(components: PassThroughComponents, options: PassThroughOptions) {
  const { client, upstreams, adviser, answers, receipts, metrics, logger } = components
  const observer = createResponseObserver({
    onError: error => logger.warn({ err: error }, 'an answer passed without being observed'),
  })

  /** Follows the request to its end, however it ends. */
  function follow(request: FastifyRequest, reply: FastifyReply, query: boolean): Exchange {
    const exchange: Exchange = {
      startedAt: performance.now(),
      gone: new AbortController(),
      body: undefined,
      advice: undefined,
    }
    request.exchange = exchange
    reply.raw.once('close', () => {
      // `close` also follows a normal end.
      if (!reply.raw.writableFinished) {
        metrics.clientLeft()
        exchange.gone.abort(new Error('the client has left'))
      }
      const seconds = (performance.now() - exchange.startedAt) / 1000
      metrics.responded(query ? 'query' : 'other', reply.raw.headersSent ? reply.raw.statusCode : 'left', seconds)
    })
    return exchange
  }

  /** Fastify refuses types that it cannot parse; a body that we do not parse may be of any. */
  async function hideContentType(request: FastifyRequest): Promise<void> {
    request.contentType = request.headers['content-type']
    if (request.contentType !== undefined) request.headers['content-type'] = 'application/octet-stream'
  }

  async function begin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (request.contentType !== undefined) request.headers['content-type'] = request.contentType
    const url = request.raw.url ?? ''
    const query = request.method === 'POST' && carriesQuery(url)
    const exchange = follow(request, reply, query)
    const limit = options.maxBodyBytes
    if (limit > 0 && Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
    if (!(request.body instanceof Readable)) return
    if (limit > 0) request.body = limited(request.body, limit)
    if (!query && !(upstreams.several && isJson(request))) return

    const { bytes, replay } = await readBody(request.body as Readable, options.adviceBodyBytes)
    exchange.body = bytes
    // What was read whole is delivered by our client, which may have to send it twice.
    request.body = replay
    if (!query) return
    const readable = request.headers['content-encoding'] === undefined ? bytes : undefined
    exchange.advice = await adviser.advise(url, request.headers, readable, exchange.gone.signal)
    metrics.adviceTaken(exchange.advice.result, (performance.now() - exchange.startedAt) / 1000)
  }

  function deliveryOf(request: FastifyRequest): Delivery {
    const { gone, body } = request.exchange ?? { gone: new AbortController(), body: undefined }
    return {
      signal: gone.signal,
      body,
      origins: upstreams.choose(upstreams.several && body ? readModel(body) : undefined),
      repeatable: IDEMPOTENT.has(request.method) || carriesQuery(request.raw.url ?? ''),
    }
  }

  function tell(exchange: Exchange | null, receiptFor?: AnswerRecord): Record<string, string> {
    const advice = exchange?.advice
    if (!advice || advice.result === 'opted_out') return {}
    return insightHeaders({
      requestId: advice.requestId,
      insight: advice.insight,
      debug: advice.hints.debug,
      receipt: receiptFor && receipts.seal(receiptFor),
    })
  }

  const rewriteRequestHeaders: Hooks['rewriteRequestHeaders'] = (request, headers) => ({
    ...without(withoutInsight(headers), [...HOP_BY_HOP, ...NOT_SENT_ON]),
    ...(options.upstreamHeaders && tell(request.exchange)),
    [DELIVERY]: deliveryOf(request as FastifyRequest),
  })

  const rewriteHeaders: Hooks['rewriteHeaders'] = headers => {
    const kept = without(headers, [...HOP_BY_HOP, ...namedIn(headers.connection)])
    return typeof kept.location !== 'string' ? kept : { ...kept, location: throughUs(kept.location, upstreams) }
  }

  const onResponse: Hooks['onResponse'] = (request, reply, response) => {
    const { stream, statusCode } = response as unknown as Answer
    const record = statusCode < 400 ? request.exchange?.advice?.record : undefined
    const told = tell(request.exchange, record)
    reply.headers(told)
    if (reply.hasHeader('access-control-allow-origin') && Object.keys(told).length > 0) {
      const exposed = reply.getHeader('access-control-expose-headers')
      reply.header('access-control-expose-headers', [exposed ?? [], ...Object.keys(told)].flat().join(', '))
    }
    const type = String(reply.getHeader('content-type') ?? '')
    const encoding = reply.getHeader('content-encoding')?.toString()
    stream.once('error', error => {
      if (!request.exchange?.gone.signal.aborted) logger.warn({ err: error }, 'an answer broke off')
    })
    const raw = (reply as FastifyReply).raw
    // Before the pipe hears of the end, and ends the answer.
    stream.once('end', () => {
      if (raw.chunkedEncoding && Object.keys(stream[TRAILERS]).length > 0) raw.addTrailers(stream[TRAILERS])
    })
    void reply.send(stream)
    // The first token may be a minute away; clients and balancers want to know now that the request was taken. A body
    // that is here already goes with the headers in one packet.
    setImmediate(() => raw.headersSent || raw.destroyed || raw.flushHeaders())
    if (options.keepAliveCommentMs > 0 && type.startsWith('text/event-stream') && !encoding) {
      const comment = setInterval(() => raw.write(': keep-alive\n\n'), options.keepAliveCommentMs)
      for (const event of ['data', 'close'] as const) stream.once(event, () => clearInterval(comment))
    }
    if (record) answers.note(record)
    if (statusCode >= 400 || request.method !== 'POST') return
    observer.observe(stream, { type, encoding }, seen => {
      const { startedAt = seen.endedAt } = request.exchange ?? {}
      const model = record?.model === UNKNOWN_MODEL ? undefined : record?.model
      metrics.answerObserved({ operation: operationOf(request.raw.url ?? ''), model, startedAt, seen })
      if (record) answers.note(withObservation(record, seen))
    })
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.decorateRequest('exchange', null)
    app.decorateRequest('contentType', undefined)
    app.addHook('onRequest', hideContentType)
    await app.register(httpProxy, {
      // Only names the base for paths; `Delivery.origins` says where to go.
      upstream: upstreams.choose(undefined)[0] ?? '',
      // Typed as undici's own class, though all that is called is `request`.
      undici: client as unknown as Agent,
      httpMethods: app.supportedMethods,
      // reply-from warns, with a stack, of every client that leaves.
      logLevel: 'error',
      internalRewriteLocationHeader: false,
      disableRequestLogging: true,
      preHandler: begin,
      replyOptions: {
        rewriteRequestHeaders,
        rewriteHeaders,
        onResponse,
        onError(reply, { error }) {
          const failure = upstreamFailure(error)
          if (!reply.request.exchange?.gone.signal.aborted) logger.warn({ code: failure.code }, failure.message)
          sendError(reply, failure)
        },
        // reply-from would otherwise ask up to ten times on a 503.
        retryDelay: () => null,
      },
    })
  }
}

/** The client's own statement of confidence outranks the logprobs, and its name of the model the server's. */
function withObservation(record: AnswerRecord, { completionId, model, confidence }: Observation): AnswerRecord {
  const told = record.confidence ?? confidence
  return {
    ...record,
    ...(completionId !== undefined && { completionId }),
    ...(told !== undefined && { confidence: told }),
    ...(record.model === UNKNOWN_MODEL && model !== undefined && { model: modelVariant(model) }),
  }
}

/** A redirect to the upstream's own address, which clients may not reach, becomes one to the same path here. */
function throughUs(location: string, upstreams: Upstreams): string {
  const url = URL.parse(location)
  const home = url && upstreams.choose(undefined).includes(url.origin)
  return home ? url.pathname + url.search + url.hash : location
}

function isJson(request: FastifyRequest): boolean {
  return request.headers['content-type']?.startsWith('application/json') ?? false
}

/** Headers that `Connection` names concern this connection alone. */
function namedIn(connection: string | undefined): string[] {
  return (connection ?? '').toLowerCase().split(/[ ,]+/)
}

function without<T>(headers: Record<string, T>, names: readonly string[]): Record<string, T> {
  const kept = { ...headers }
  for (const name of names) delete kept[name]
  return kept
}
