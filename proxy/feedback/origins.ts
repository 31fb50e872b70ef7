/** Which web pages may give feedback from a browser: none but ours and those the operator names. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { HostCheck } from '../access/hosts.ts'
import { HttpError } from '../errors.ts'

const METHODS = 'GET, POST, PUT, DELETE'
const HEADERS = 'authorization, content-type, idempotency-key, x-qis-receipt'
/** For so long a browser need not ask again, seconds. */
const MAX_AGE = '600'

/**
 * A hook for our own routes. Browsers name the page in `Origin`, also where they do not ask first; so no page can make its
 * visitors' browsers rate answers on this machine unless it may. Programs send none.
 *
 * @param pages read at each request
 * @param ownHosts names under which a page can only be ours
 */
export function originCheck(pages: { readonly feedbackOrigins: readonly string[] }, ownHosts: HostCheck) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { origin, host } = request.headers
    if (origin === undefined || (ownHosts(host) && URL.parse(origin)?.host === host)) return
    const { feedbackOrigins: allowed } = pages
    if (!allowed.includes('*') && !allowed.includes(origin)) {
      throw new HttpError('origin_refused', `pages of ${origin} may not give feedback here; see QIS_FEEDBACK_ORIGINS`)
    }
    reply.header('access-control-allow-origin', origin).header('vary', 'origin')
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return
    await reply
      .code(204)
      .header('access-control-allow-methods', METHODS)
      .header('access-control-allow-headers', HEADERS)
      .header('access-control-max-age', MAX_AGE)
      .send()
  }
}
