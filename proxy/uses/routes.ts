/** Our own endpoints that answer questions about questions: HTTP around them, with the guard of all of /qis/*. */
import type { FastifyInstance } from 'fastify'
import { HttpError } from '../errors.ts'
import { parseJsonBodies } from '../feedback/item-routes.ts'
import { originCheck } from '../feedback/origins.ts'
import { bearerCheck } from '../token.ts'
import type { AdviceEndpoint } from './advise.ts'
import type { RerankEndpoint } from './rerank.ts'

export interface UsesRouteComponents {
  advice: AdviceEndpoint
  rerank: RerankEndpoint
}

export interface UsesRouteOptions {
  /** Demanded of callers; undefined when only this machine can call. */
  token: string | undefined
  /** Of web pages whose browsers may call. */
  feedbackOrigins: readonly string[]
}

const MAX_BODY_BYTES = 4 * 1024 * 1024

export function usesRoutes({ advice, rerank }: UsesRouteComponents, options: UsesRouteOptions) {
  const authorised = bearerCheck(options.token)

  return async (app: FastifyInstance): Promise<void> => {
    app.addHook('onRequest', originCheck(options.feedbackOrigins))
    app.addHook('onRequest', async ({ headers }) => {
      if (!authorised(headers.authorization)) throw new HttpError('unauthorized', 'the admin token is needed')
    })
    parseJsonBodies(app, MAX_BODY_BYTES)
    const serve = (path: string, endpoint: AdviceEndpoint | RerankEndpoint) =>
      app.post(path, async (request, reply) => {
        const leaving = new AbortController()
        reply.raw.once('close', () => leaving.abort())
        const { url, headers } = request
        return endpoint.answer(request.body, { url, headers, left: leaving.signal })
      })
    serve('/qis/advise', advice)
    // The second and third are where clients of Cohere and Jina ask, given /qis for a base.
    for (const path of ['/qis/rerank', '/qis/v1/rerank', '/qis/v2/rerank']) serve(path, rerank)
  }
}
