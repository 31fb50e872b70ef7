/** The admin listener: metrics, health, what left, and how this node stands in the swarm. */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Router } from '../router/router.ts'
import { answerErrorsWith } from './error-handler.ts'
import { HttpError } from './errors.ts'
import type { Feedback } from './feedback/feedback.ts'
import { feedbackItemRoutes, feedbackListRoute, parseJsonBodies } from './feedback/item-routes.ts'
import type { Metrics } from './metrics.ts'
import { bearerCheck } from './token.ts'

export interface OperationsComponents {
  router: Pick<Router, 'ledger' | 'verifyLedger' | 'reliability' | 'status'>
  metrics: Metrics
  feedback: Feedback
  logger: FastifyBaseLogger
  /** False from the moment the process is told to stop. */
  ready(): boolean
}

const LEDGER_PAGE = 100

export function createOperations(
  { router, metrics, feedback, logger, ready }: OperationsComponents,
  options: { token: string | undefined },
): FastifyInstance {
  const app = Fastify({ loggerInstance: logger, logController: new LogController({ disableRequestLogging: true }) })
  const authorised = bearerCheck(options.token)
  answerErrorsWith(app)

  // Health is asked by orchestrators, which hold no token and learn nothing from it.
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    if (ready()) return { status: 'ready' }
    return reply.code(503).send({ status: 'stopping' })
  })

  void app.register(async guarded => {
    guarded.addHook('onRequest', async request => {
      if (!authorised(request.headers.authorization)) throw new HttpError('unauthorized', 'the admin token is needed')
    })
    guarded.get('/metrics', async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    )
    parseJsonBodies(guarded)
    feedbackListRoute(guarded, feedback)
    // Who comes so far may see all.
    feedbackItemRoutes(guarded, feedback, () => undefined)
    guarded.get('/qis/status', async () => router.status())
    guarded.get<{ Querystring: { offset?: string } }>('/qis/ledger', async request => {
      const offset = Number(request.query.offset ?? 0)
      if (!Number.isSafeInteger(offset) || offset < 0) {
        throw new HttpError('invalid_field', 'offset must be a whole number from 0', { field: 'offset' })
      }
      const lines = await router.ledger({ offset, limit: LEDGER_PAGE })
      const given = Map.groupBy(await feedback.of(lines.map(line => line.requestId)), ({ requestId }) => requestId)
      const ids = (requestId: string) => given.get(requestId)?.map(({ id }) => id) ?? []
      return { entries: lines.map(line => ({ ...line, feedback: ids(line.requestId) })) }
    })
    guarded.get('/qis/reliability', async () => router.reliability())
    guarded.get('/qis/ledger/verify', async () => {
      const { head, ...verdict } = await router.verifyLedger()
      return { ...verdict, head: { seq: head.seq, hash: Buffer.from(head.hash).toString('hex') } }
    })
  })
  return app
}
