/** The data listener: everything is the upstream's, byte for byte, but for `/qis/*` and one alias, which are ours. */
import { METHODS } from 'node:http'
import { performance } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { Agent } from 'undici'
import { modelVariant, UNKNOWN_MODEL } from '../router/model-variant.ts'
import type { Advice, Adviser } from './advise.ts'
import type { AnswerIndex, AnswerRecord } from './answer-index.ts'
import { answerErrorsWith } from './error-handler.ts'
import { HttpError, sendError } from './errors.ts'
import type { Feedback } from './feedback.ts'
import { feedbackRoutes } from './feedback-routes.ts'
import { insightHeaders, withoutInsight } from './insight-headers.ts'
import type { Metrics } from './metrics.ts'
import { type Observation, observeResponse } from './observe-response.ts'
import { carriesQuery } from './query-text.ts'
import type { Receipts } from './receipts.ts'
import { readBody } from './request-body.ts'
import { SIGNAL, type UpstreamClient } from './upstream.ts'

export interface AppComponents {
  upstream: UpstreamClient
  adviser: Adviser
  answers: AnswerIndex
  receipts: Receipts
  feedback: Feedback
  metrics: Metrics
  logger: FastifyBaseLogger
}

export interface AppOptions {
  /** Origin of the LLM server. */
  origin: string
  /** Larger request bodies pass through without advice. */
  adviceBodyBytes: number
  /** Whether the upstream is sent the advice as well. */
  upstreamHeaders: boolean
  /** Demanded from callers of /qis/* who hold no receipt; undefined when only this machine can call. */
  token: string | undefined
}

/** What is known of one proxied request while it is under way. */
interface Exchange {
  startedAt: number
  /** Aborted when the client has left before the end. */
  gone: AbortController
  advice: Advice | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange | null
  }
}

type Hooks = NonNullable<FastifyHttpProxyOptions['replyOptions']>

/** Load balancers keep idle connections for 60 to 75 s; the side that a request may be under way to must outlast them. */
const KEEP_ALIVE_MS = 90_000
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']
/** Node has answered it already, and undici cannot send it. */
const ANSWERED_HERE = 'expect'

export function createApp(components: AppComponents, options: AppOptions): FastifyInstance {
  const app = Fastify({
    loggerInstance: components.logger,
    logController: new LogController({ disableRequestLogging: true }),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // No total time: an upload may be long, and generation longer.
    requestTimeout: 0,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: (error, _request, reply) =>
      void sendError(reply, new HttpError('bad_request', error.message, { cause: error })),
  })
  // Bodies are the upstream's: none is parsed unless one of our own routes says so.
  app.removeAllContentTypeParsers()
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  app.decorateRequest('exchange', null)
  answerErrorsWith(app)
  void app.register(feedbackRoutes(components.feedback, { token: options.token }))
  void app.register(passThrough(components, options))
  return app
}

function passThrough(components: AppComponents, options: AppOptions) {
  const { upstream, adviser, answers, receipts, metrics } = components

  async function begin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const gone = new AbortController()
    const startedAt = performance.now()
    const exchange: Exchange = { startedAt, gone, advice: undefined }
    request.exchange = exchange
    const query = request.method === 'POST' && carriesQuery(request.raw.url ?? '')
    reply.raw.once('close', () => {
      // `close` also follows a normal end.
      if (!reply.raw.writableFinished) {
        metrics.clientLeft()
        gone.abort(new Error('the client has left'))
      }
      metrics.responded(query ? 'query' : 'other', reply.raw.statusCode, (performance.now() - startedAt) / 1000)
    })
    if (!query || !(request.body instanceof Readable)) return
    const { bytes, replay } = await readBody(request.body, options.adviceBodyBytes).catch(cause => {
      throw new HttpError('bad_request', 'the request body ended early', { cause })
    })
    request.body = replay
    const readable = request.headers['content-encoding'] === undefined ? bytes : undefined
    exchange.advice = await adviser.advise(request.raw.url ?? '', request.headers, readable, gone.signal)
    metrics.adviceTaken(exchange.advice.result, (performance.now() - startedAt) / 1000)
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
    ...without(withoutInsight(headers), [...HOP_BY_HOP, ANSWERED_HERE]),
    ...(options.upstreamHeaders && tell(request.exchange)),
    [SIGNAL]: request.exchange?.gone.signal,
  })

  const rewriteHeaders: Hooks['rewriteHeaders'] = headers =>
    without(headers, [
      ...HOP_BY_HOP,
      ...String(headers.connection ?? '')
        .toLowerCase()
        .split(/[ ,]+/),
    ])

  const onResponse: Hooks['onResponse'] = (request, reply, response) => {
    const { stream, statusCode } = response as unknown as { stream: Readable; statusCode: number }
    const record = statusCode < 400 ? request.exchange?.advice?.record : undefined
    const told = tell(request.exchange, record)
    reply.headers(told)
    if (reply.hasHeader('access-control-allow-origin') && Object.keys(told).length > 0) {
      const exposed = reply.getHeader('access-control-expose-headers')
      reply.header('access-control-expose-headers', [exposed ?? [], ...Object.keys(told)].flat().join(', '))
    }
    const type = reply.getHeader('content-type')
    const encoding = reply.getHeader('content-encoding')
    void reply.send(stream)
    // The first token may be a minute away; clients and balancers want to know now that the request was taken.
    if ('flushHeaders' in reply.raw) reply.raw.flushHeaders()
    if (!record) return
    answers.note(record)
    observeResponse(stream, { type: String(type ?? ''), encoded: encoding !== undefined }, seen => {
      answers.note(withObservation(record, seen))
    })
  }

  return async (app: FastifyInstance): Promise<void> => {
    await app.register(httpProxy, {
      upstream: options.origin,
      // Typed as undici's own class, though all that is called is `request`.
      undici: upstream as unknown as Agent,
      httpMethods: app.supportedMethods,
      internalRewriteLocationHeader: false,
      disableRequestLogging: true,
      preHandler: begin,
      replyOptions: {
        rewriteRequestHeaders,
        rewriteHeaders,
        onResponse,
        onError: (reply, { error }) => void sendError(reply, upstreamError(error)),
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

function without<T>(headers: Record<string, T>, names: readonly string[]): Record<string, T> {
  const kept = { ...headers }
  for (const name of names) delete kept[name]
  return kept
}

function upstreamError(error: Error): HttpError {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException
  switch (cause.code) {
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return new HttpError('upstream_timeout', 'the LLM server did not answer in time', { cause: error })
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return new HttpError('upstream_unreachable', `the LLM server cannot be reached (${cause.code})`, { cause: error })
    default:
      return new HttpError('upstream_failed', `the LLM server broke off (${cause.code ?? cause.message})`, {
        cause: error,
      })
  }
}
