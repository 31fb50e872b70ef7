/** The admin listener: metrics, health, what left, and how this node stands in the swarm. */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Router } from '../router/router.ts'
import type { Access } from './access/access.ts'
import { guard, refuseAmbiguous, unlessForAnyone } from './access/guard.ts'
import { pathAsked } from './access/hosts.ts'
import { type DashboardComponents, dashboardRoutes, pageRoutes } from './dashboard/routes.ts'
import { answerClientError, answerErrorsWith, answerFrameworkError } from './error-handler.ts'
import { HttpError } from './errors.ts'
import { feedbackItemRoutes, feedbackListRoute, parseJsonBodies } from './feedback/item-routes.ts'
import { originCheck } from './feedback/origins.ts'
import type { Metrics } from './metrics.ts'
import { type ApiDescription, described } from './openapi.ts'
import type { Status } from './status.ts'

export interface OperationsComponents extends DashboardComponents {
  router: DashboardComponents['router'] & Pick<Router, 'ledger' | 'verifyLedger' | 'reliability' | 'peers' | 'packets'>
  status: () => Promise<Status>
  metrics: Metrics
  access: Pick<Access, 'admits' | 'mayScrape' | 'holder' | 'adminHosts' | 'ownHosts'>
  api: ApiDescription
  logger: FastifyBaseLogger
  /** False from the moment the process is told to stop. */
  ready(): boolean
}

const WELL = {
  type: 'object',
  required: ['status'],
  properties: { status: { enum: ['ok', 'ready', 'stopping'] } },
}
const OBJECT = { type: 'object' }
const OFFSET = { offset: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } }
/** Of a list that has to be asked for piece by piece. */
const PAGE = 100
/** Nothing here is large or slow; who takes longer to ask is not asking. */
const REQUEST_MS = 30_000
const MAX_CONNECTIONS = 1_000

export function createOperations(components: OperationsComponents, options: { rateLimit: number }): FastifyInstance {
  const { router, status, metrics, feedback, access, api, logger, ready } = components
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError,
    rewriteUrl: pathAsked,
  })
  app.server.maxConnections = MAX_CONNECTIONS
  answerErrorsWith(
    app,
    api.watch(app, () => app.listeningOrigin),
  )
  // Before every route, whoever adds it and wherever, and before paths that are none.
  guard(app, { limits: options, hosts: access.adminHosts, access })
  app.addHook('onRequest', refuseAmbiguous)
  app.addHook('onRequest', unlessForAnyone(originCheck({ feedbackOrigins: [] }, access.ownHosts)))
  app.addHook(
    'onRequest',
    unlessForAnyone(async ({ headers, routeOptions }) => {
      if (routeOptions.config?.for === 'visitors') return
      const admits = routeOptions.config?.for === 'scrapers' ? access.mayScrape : access.admits
      if (!admits(headers.authorization)) throw new HttpError('unauthorized', 'the admin token is needed')
    }),
  )

  const healthz = described({ summary: 'Whether the process runs', response: { 200: WELL } })
  app.get('/healthz', { ...healthz, config: { for: 'anyone' } }, async () => ({ status: 'ok' }))
  const readyz = described({ summary: 'Whether it takes requests', response: { 200: WELL, 503: WELL } })
  app.get('/readyz', { ...readyz, config: { for: 'anyone' } }, async (_request, reply) => {
    if (ready()) return { status: 'ready' }
    return reply.code(503).send({ status: 'stopping' })
  })

  pageRoutes(app, access)
  void app.register(async routes => {
    const scraped = described({ summary: 'Metrics for Prometheus', response: { 200: { type: 'text/plain' } } })
    routes.get('/metrics', { ...scraped, config: { for: 'scrapers' } }, async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    )
    const description = described({ summary: 'This description', response: { 200: OBJECT } })
    routes.get('/qis/openapi.json', description, async () => api.document())
    parseJsonBodies(routes)
    feedbackListRoute(routes, feedback)
    // Who comes so far may see all.
    feedbackItemRoutes(routes, feedback, () => undefined)
    dashboardRoutes(routes, components)
    const aboutStatus = described({ summary: 'How this node stands in the swarm', response: { 200: OBJECT } })
    routes.get('/qis/status', aboutStatus, async () => status())
    const aboutPeers = described({
      summary: 'Peers, and what came from each',
      querystring: { type: 'object', properties: OFFSET },
      response: { 200: OBJECT },
    })
    routes.get<Paged>('/qis/peers', aboutPeers, async ({ query }) => router.peers(pageOf(query)))
    const aboutPackets = described({
      summary: 'Live packets of peers, newest first',
      querystring: { type: 'object', properties: { ...OFFSET, cell: { type: 'string', pattern: '^[0-9a-f]{2}$' } } },
      response: { 200: OBJECT },
    })
    routes.get<Paged<{ cell?: string }>>('/qis/packets', aboutPackets, async ({ query }) =>
      router.packets({ ...pageOf(query), cell: cellOf(query.cell) }),
    )
    const ledger = described({
      summary: 'What left, newest first',
      querystring: { type: 'object', properties: OFFSET },
      response: { 200: { type: 'object', required: ['entries'], properties: { entries: { type: 'array' } } } },
    })
    routes.get<Paged>('/qis/ledger', ledger, async ({ query }) => {
      const lines = await router.ledger(pageOf(query))
      const given = Map.groupBy(await feedback.of(lines.map(line => line.requestId)), ({ requestId }) => requestId)
      const ids = (requestId: string) => given.get(requestId)?.map(({ id }) => id) ?? []
      return { entries: lines.map(line => ({ ...line, feedback: ids(line.requestId) })) }
    })
    const reliability = described({ summary: 'What was told, and what came of it', response: { 200: OBJECT } })
    routes.get('/qis/reliability', reliability, async () => router.reliability())
    const verify = described({ summary: 'Whether the chain of the ledger is whole', response: { 200: OBJECT } })
    routes.get('/qis/ledger/verify', verify, async () => {
      const { head, ...verdict } = await router.verifyLedger()
      return { ...verdict, head: { seq: head.seq, hash: Buffer.from(head.hash).toString('hex') } }
    })
  })
  return app
}

interface Paged<More = object> {
  Querystring: { offset?: string } & More
}

function pageOf({ offset: text = '0' }: { offset?: string }): { offset: number; limit: number } {
  const offset = Number(text)
  if (text === '' || !Number.isSafeInteger(offset) || offset < 0) {
    throw new HttpError('invalid_field', 'offset must be a whole number from 0', { field: 'offset' })
  }
  return { offset, limit: PAGE }
}

function cellOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9a-f]{2}$/i.test(text)) {
    throw new HttpError('invalid_field', 'cell must be two hex digits, as a fingerprint begins with', { field: 'cell' })
  }
  return Number.parseInt(text, 16)
}
