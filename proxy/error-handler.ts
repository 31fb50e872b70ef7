/** Turns whatever went wrong in one of our own routes into the one error shape. */
import type { FastifyInstance } from 'fastify'
import { DatabaseError } from '../router/store/database.ts'
import { HttpError, sendError } from './errors.ts'

export function answerErrorsWith(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const answer = asHttpError(error)
    if (answer.code === 'unauthorized') reply.header('www-authenticate', 'Bearer')
    if (answer.code === 'internal') request.log.error({ err: error }, 'a request failed')
    return sendError(reply, answer)
  })
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, new HttpError('not_found', `there is no ${request.method} ${request.url} here`)),
  )
}

export function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error
  if (error instanceof DatabaseError) {
    return new HttpError('storage_unavailable', `feedback cannot be kept now (${error.code}); try again`, {
      cause: error,
    })
  }
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message: string }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new HttpError('body_too_large', 'the body is too large', { cause: error })
  if (statusCode !== undefined && statusCode < 500) return new HttpError('bad_request', message, { cause: error })
  return new HttpError('internal', 'something went wrong here; the log has the details', { cause: error })
}
