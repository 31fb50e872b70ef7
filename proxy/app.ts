/** The data listener: everything is the upstream's, byte for byte, but for `/qis/*` and one alias, which are ours. */
import { type IncomingMessage, METHODS } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Dispatcher } from 'undici'
import { answerErrorsWith } from './error-handler.ts'
import { HttpError, sendError } from './errors.ts'
import type { ExchangeComponents, ExchangeOptions } from './exchange.ts'
import { type FeedbackRouteComponents, type FeedbackRouteOptions, feedbackRoutes } from './feedback/routes.ts'
import { modelListRoute } from './model-list.ts'
import { passThrough } from './pass-through.ts'
import type { Tunnel } from './upstream/tunnel.ts'
import { type UsesRouteComponents, usesRoutes } from './uses/routes.ts'

export interface AppComponents extends ExchangeComponents, FeedbackRouteComponents, UsesRouteComponents {
  tunnel: Tunnel
  /** How upstreams are reached when we ask them something ourselves. */
  dispatcher: Dispatcher
  logger: FastifyBaseLogger
}

export interface AppOptions extends ExchangeOptions, FeedbackRouteOptions {
  /** Models of our own that GET /v1/models tells of. */
  listed: readonly string[]
}

/** Load balancers keep idle connections for 60 to 75 s; the side that a request may be under way to must outlast them. */
const KEEP_ALIVE_MS = 90_000
/** As much as we accept of an upstream; Node's own limit of 16 KiB is less than many servers take. */
const MAX_HEADER_BYTES = 64 * 1024

/** Some clients offer HTTP/2 with every request, Java's among them; such an offer is declined by taking no notice. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** Paths on which we have routes of our own. */
const OURS = /^\/(?:qis\/|v1\/(?:feedback|models)(?:\?|$))/

/** All other paths are one to our router: however odd, they are the upstream's to judge. */
function routed({ url = '/' }: { url?: string | undefined }): string {
  return OURS.test(url) ? url : '/'
}

export function createApp(components: AppComponents, options: AppOptions): FastifyInstance {
  const { upstreams, dispatcher, tunnel, logger } = components
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    http: { maxHeaderSize: MAX_HEADER_BYTES, shouldUpgradeCallback: isWebSocket },
    keepAliveTimeout: KEEP_ALIVE_MS,
    // No total time: an upload may be long, and generation longer.
    requestTimeout: 0,
    forceCloseConnections: 'idle',
    rewriteUrl: routed,
    frameworkErrors: (error, _request, reply) =>
      void sendError(reply, new HttpError('bad_request', error.message, { cause: error })),
  })
  // Bodies are the upstream's: none is parsed unless one of our own routes says so.
  app.removeAllContentTypeParsers()
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  answerErrorsWith(app)
  app.server.on('upgrade', tunnel.upgrade)
  void app.register(feedbackRoutes(components, options))
  void app.register(usesRoutes(components, options))
  if (upstreams.several || options.listed.length > 0) {
    void app.register(modelListRoute({ upstreams, dispatcher }, options.listed))
  }
  void app.register(passThrough(components, options))
  return app
}
