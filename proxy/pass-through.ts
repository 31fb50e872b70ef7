/** Everything that is the upstream's: handed on and back byte for byte, with advice beside it where there is a question. */
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import { asHttpError } from './error-handler.ts'
import { sendError } from './errors.ts'
import { Exchange, type ExchangeComponents, type ExchangeOptions } from './exchange.ts'

export function passThrough(components: ExchangeComponents, options: ExchangeOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    // Fastify refuses types that make no sense to it; a body that we do not parse may be of any. What the upstream is
    // sent is taken from the raw headers, where nothing has changed.
    app.addHook('onRequest', (request, _reply, done) => {
      if (request.headers['content-type'] !== undefined) request.headers['content-type'] = 'application/octet-stream'
      done()
    })
    await app.register(httpProxy, {
      upstream: components.upstreams.choose(undefined)[0] ?? '',
      httpMethods: app.supportedMethods,
      handler(request, reply) {
        new Exchange(components, options, request, reply).forward().catch(error => sendError(reply, asHttpError(error)))
      },
    })
  }
}
