/** The data listener: everything is the upstream's, byte for byte, but for `/qis/*` and one alias, which are ours. */
import { type IncomingMessage, METHODS } from 'node:http'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Dispatcher } from 'undici'
import { hasTwoHosts, refuseAmbiguous, refuseOtherHosts } from './access/guard.ts'
import { pathAsked } from './access/hosts.ts'
import { endStalledClients } from './access/stalls.ts'
import { answerClientError, answerErrorsWith, answerFrameworkError } from './error-handler.ts'
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
  /** A client that does not get on for so long is given up; 0 for never. */
  stallMs: number
}

/** Load balancers keep idle connections for 60 to 75 s; the side that a request may be under way to must outlast them. */
const KEEP_ALIVE_MS = 90_000
/** As much as we accept of an upstream; Node's own limit of 16 KiB is less than many servers take. */
const MAX_HEADER_BYTES = 64 * 1024
/** From the first byte of a head, or of a connection, to the end of the head. */
const HEAD_MS = 60_000

/** Paths on which we have routes of our own. */
const OURS = /^\/(?:qis\/|v1\/(?:feedback|models)(?:\?|$))/

/**
 * All other paths are one to our router: however odd, they are the upstream's to judge. Only where we are asked as a proxy is,
 * with a host in the path, the path alone goes on: an upstream that is a proxy too would go where the client says.
 */
function routed(request: Pick<IncomingMessage, 'url' | 'headers'> & { originalUrl?: string }): string {
  const path = pathAsked(request)
  if (path !== request.url) request.originalUrl = path
  return OURS.test(path) ? path : '/'
}

/**
 * Some clients offer HTTP/2 with every request, Java's among them; such an offer is declined by taking no notice. And none
 * of our own endpoints is a WebSocket. What has a body is a request first, and goes on as one; so does what will be refused.
 */
function isWebSocket({ headers, url = '', rawHeaders }: IncomingMessage): boolean {
  if (headers.upgrade?.toLowerCase() !== 'websocket' || !url.startsWith('/') || OURS.test(url)) return false
  return !hasTwoHosts(rawHeaders) && Number(headers['content-length'] ?? 0) === 0 && !headers['transfer-encoding']
}

/**
 * @param options looked at when a request comes, but for `stallMs`
 * @param listed models of our own that GET /v1/models tells of
 */
export function createApp(
  components: AppComponents,
  options: AppOptions,
  { listed }: { listed: readonly string[] },
): FastifyInstance {
  const { upstreams, dispatcher, tunnel, access, logger } = components
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEAD_MS,
      shouldUpgradeCallback: request => isWebSocket(request) && (access.dataHosts?.(request.headers.host) ?? true),
    },
    keepAliveTimeout: KEEP_ALIVE_MS,
    // No total time: an upload may be long, and generation longer.
    requestTimeout: 0,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    rewriteUrl: routed,
    frameworkErrors: answerFrameworkError,
  })
  // Bodies are the upstream's: none is parsed unless one of our own routes says so.
  app.removeAllContentTypeParsers()
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  answerErrorsWith(app)
  // How many are too many is the upstream's to say; here their bytes are bounded. (Earlier releases of Node 24 drop those
  // beyond 2,000 without a word, and a body's length may be among them.)
  app.server.maxHeadersCount = 0
  if (options.stallMs > 0) endStalledClients(app.server, options.stallMs)
  app.addHook('onRequest', refuseAmbiguous)
  if (access.dataHosts) app.addHook('onRequest', refuseOtherHosts(access.dataHosts))
  app.server.on('upgrade', tunnel.upgrade)
  void app.register(feedbackRoutes(components, options))
  void app.register(usesRoutes(components, options))
  if (upstreams.several || listed.length > 0) {
    void app.register(modelListRoute({ upstreams, dispatcher }, listed))
  }
  void app.register(passThrough(components, options))
  return app
}
