/** Our own endpoints that answer questions about questions: HTTP around them, with the guard of all of /qis/*. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Access, mayLook } from '../access/access.ts'
import { guard } from '../access/guard.ts'
import { HttpError } from '../errors.ts'
import { parseJsonBodies } from '../feedback/item-routes.ts'
import { originCheck } from '../feedback/origins.ts'
import { type ApiDescription, described, type RouteSchema } from '../openapi.ts'
import { type AdviceEndpoint, adviceBody } from './advise.ts'
import { type RerankEndpoint, rerankBody } from './rerank.ts'

export interface UsesRouteComponents {
  advice: AdviceEndpoint
  rerank: RerankEndpoint
  access: Pick<Access, 'voices' | 'holder' | 'dataHosts' | 'ownHosts'>
  api: Pick<ApiDescription, 'watch'>
}

export interface UsesRouteOptions {
  /** Of web pages whose browsers may call. */
  feedbackOrigins: readonly string[]
  /** Requests a minute from one address; 0 for no limit. */
  rateLimit: number
}

/** A question of a million characters, as JSON. */
const MAX_QUESTION_BYTES = 1024 * 1024
/** A thousand documents of a page each. */
const MAX_DOCUMENTS_BYTES = 4 * 1024 * 1024
const WHO_MAY =
  "With a token of QIS_FEEDBACK_TOKEN or QIS_ADMIN_TOKEN, or none on loopback where QIS_FEEDBACK_TOKEN is not set; an evaluator's token opens nothing here."
const OBJECT = { type: 'object' }

/** Answers a POST from an endpoint, which is told when its caller leaves; wherever it is posted. */
export function serve(endpoint: AdviceEndpoint | RerankEndpoint) {
  return async ({ url, headers, body }: FastifyRequest, reply: FastifyReply): Promise<object> => {
    const leaving = new AbortController()
    reply.raw.once('close', () => leaving.abort())
    return endpoint.answer(body, { url, headers, left: leaving.signal })
  }
}

export function usesRoutes({ advice, rerank, access, api }: UsesRouteComponents, options: UsesRouteOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    api.watch(app, () => app.listeningOrigin)
    guard(app, { limits: options, hosts: undefined, access })
    app.addHook('onRequest', originCheck(options, access.ownHosts))
    app.addHook('onRequest', async ({ headers }) => {
      if (mayLook(access.voices(headers.authorization, headers.origin))) return
      throw new HttpError('unauthorized', 'a token for feedback or the admin token is needed')
    })
    parseJsonBodies(app)
    const describe = (summary: string, body: RouteSchema['body'] & object, bodyLimit: number) => ({
      ...described({
        summary,
        description: `${WHO_MAY} A body has ${bodyLimit} bytes at most.`,
        body,
        response: { 200: OBJECT },
      }),
      bodyLimit,
    })
    app.post(
      '/qis/advise',
      describe('What is known about a question, without asking it', adviceBody, MAX_QUESTION_BYTES),
      serve(advice),
    )
    // The second and third are where clients of Cohere and Jina ask, given /qis for a base.
    for (const path of ['/qis/rerank', '/qis/v1/rerank', '/qis/v2/rerank'])
      app.post(path, describe('Documents in a better order', rerankBody, MAX_DOCUMENTS_BYTES), serve(rerank))
  }
}
