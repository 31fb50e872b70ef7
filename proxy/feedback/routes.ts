/** `POST /qis/feedback` and its alias: HTTP around the feedback that feedback.ts takes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { HttpError } from '../errors.ts'
import { bearerCheck } from '../token.ts'
import type { Feedback } from './feedback.ts'

const MAX_BODY_BYTES = 64 * 1024

export function feedbackRoutes(feedback: Feedback, options: { token: string | undefined }) {
  const authorised = bearerCheck(options.token)

  async function handle(request: FastifyRequest) {
    const holdsReceipt = typeof request.body === 'object' && request.body !== null && 'receipt' in request.body
    if (!holdsReceipt && !authorised(request.headers.authorization)) {
      throw new HttpError('unauthorized', 'a receipt or the admin token is needed')
    }
    const key = request.headers['idempotency-key']
    return feedback.take(request.body, typeof key === 'string' ? key.slice(0, 200) : undefined)
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.addContentTypeParser(
      '*',
      { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
      async (_request: unknown, body: string | Buffer) => {
        try {
          return JSON.parse(body.toString()) as unknown
        } catch (cause) {
          throw new HttpError('invalid_json', 'the body is not JSON', { cause })
        }
      },
    )
    for (const url of ['/qis/feedback', '/v1/feedback']) {
      app.post(url, async (request, reply) => {
        const result = await handle(request)
        return reply.code(202).send(result)
      })
    }
    // The rest of the prefix is ours too, so that a typing error is told and not sent to the LLM.
    app.all('/qis/*', request => {
      throw new HttpError('not_found', `there is no ${request.method} ${request.url} here`)
    })
  }
}
