/** The admin listener: metrics, health, what left, and how this node stands in the swarm. */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Router } from '../router/router.ts'
import type { Access } from './access/access.ts'
import { guard, unlessForAnyone } from './access/guard.ts'
import { answerErrorsWith } from './error-handler.ts'
import { HttpError, sendError } from './errors.ts'
import type { Feedback } from './feedback/feedback.ts'
import { feedbackItemRoutes, feedbackListRoute, parseJsonBodies } from './feedback/item-routes.ts'
import { originCheck } from './feedback/origins.ts'
import type { Metrics } from './metrics.ts'
import type { Status } from './status.ts'

export interface OperationsComponents {
  router: Pick<Router, 'ledger' | 'verifyLedger' | 'reliability' | 'peers' | 'packets'>
  status: () => Promise<Status>
  metrics: Metrics
  feedback: Feedback
  access: Pick<Access, 'admits' | 'mayScrape' | 'adminHosts' | 'ownHosts'>
  logger: FastifyBaseLogger
  /** False from the moment the process is told to stop. */
  ready(): boolean
}

/** Of a list that has to be asked for piece by piece. */
const PAGE = 100
/** Nothing here is large or slow; who takes longer to ask is not asking. */
const REQUEST_MS = 30_000
const MAX_CONNECTIONS = 1_000

export function createOperations(
  { router, status, metrics, feedback, access, logger, ready }: OperationsComponents,
  options: { rateLimit: number },
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, _request, reply) =>
      void sendError(reply, new HttpError('bad_request', error.message, { cause: error })),
  })
  app.server.maxConnections = MAX_CONNECTIONS
  answerErrorsWith(app)
  // Before every route, whoever adds it and wherever, and before paths that are none.
  guard(app, { limits: options, hosts: access.adminHosts })
  app.addHook('onRequest', unlessForAnyone(originCheck({ feedbackOrigins: [] }, access.ownHosts)))
  app.addHook(
    'onRequest',
    unlessForAnyone(async ({ headers, routeOptions }) => {
      const admits = routeOptions.config?.for === 'scrapers' ? access.mayScrape : access.admits
      if (!admits(headers.authorization)) throw new HttpError('unauthorized', 'the admin token is needed')
    }),
  )

  app.get('/healthz', { config: { for: 'anyone' } }, async () => ({ status: 'ok' }))
  app.get('/readyz', { config: { for: 'anyone' } }, async (_request, reply) => {
    if (ready()) return { status: 'ready' }
    return reply.code(503).send({ status: 'stopping' })
  })

  void app.register(async routes => {
    routes.get('/metrics', { config: { for: 'scrapers' } }, async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    )
    parseJsonBodies(routes)
    feedbackListRoute(routes, feedback)
    // Who comes so far may see all.
    feedbackItemRoutes(routes, feedback, () => undefined)
    routes.get('/qis/status', async () => status())
    routes.get<Paged>('/qis/peers', async ({ query }) => router.peers(pageOf(query)))
    routes.get<Paged<{ cell?: string }>>('/qis/packets', async ({ query }) =>
      router.packets({ ...pageOf(query), cell: cellOf(query.cell) }),
    )
    routes.get<Paged>('/qis/ledger', async ({ query }) => {
      const lines = await router.ledger(pageOf(query))
      const given = Map.groupBy(await feedback.of(lines.map(line => line.requestId)), ({ requestId }) => requestId)
      const ids = (requestId: string) => given.get(requestId)?.map(({ id }) => id) ?? []
      return { entries: lines.map(line => ({ ...line, feedback: ids(line.requestId) })) }
    })
    routes.get('/qis/reliability', async () => router.reliability())
    routes.get('/qis/ledger/verify', async () => {
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
  if (!Number.isSafeInteger(offset) || offset < 0) {
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
