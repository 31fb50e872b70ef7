/** Turns whatever went wrong in one of our own routes into the one error shape. */
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DatabaseError } from '../router/store/database.ts'
import { BROWSER_HEADERS } from './access/guard.ts'
import { errorBody, errorCodes, HttpError, sendError } from './errors.ts'

/** A lock, a full queue or a process that is being replaced lasts seconds. */
const RETRY_AFTER_S = 2

/** @param methodsAt which methods there are at a path */
export function answerErrorsWith(app: FastifyInstance, methodsAt: (url: string) => string[] = () => []): void {
  app.setErrorHandler((error, request, reply) => {
    const answer = asHttpError(error)
    if (answer.code === 'unauthorized') reply.header('www-authenticate', 'Bearer')
    if (errorCodes[answer.code] === 503) reply.header('retry-after', String(RETRY_AFTER_S))
    if (answer.code === 'internal') request.log.error({ err: error }, 'a request failed')
    return sendError(reply, answer)
  })
  app.setNotFoundHandler((request, reply) => sendError(reply, notFound(request, reply, methodsAt)))
}

export function notFound(
  { method, url }: FastifyRequest,
  reply: FastifyReply,
  methodsAt: (url: string) => string[],
): HttpError {
  const methods = methodsAt(url)
  if (methods.length === 0) return new HttpError('not_found', `there is no ${method} ${url} here`)
  reply.header('allow', methods.join(', '))
  return new HttpError('method_not_allowed', `${method} is none of ${methods.join(', ')}`)
}

/** For paths that Fastify does not even look up; no hook sees them. */
export function answerFrameworkError(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  void sendError(reply.headers(BROWSER_HEADERS), new HttpError('bad_request', error.message, { cause: error }))
}

/**
 * For what is no request at all, so that no route is asked. Nothing of it is logged: the error carries the very bytes.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) {
    const [status, fault] = clientFault(error.code)
    const body = JSON.stringify(errorBody(fault))
    socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nx-content-type-options: nosniff\r\n` +
        `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

function clientFault(code: string | undefined): [status: string, HttpError] {
  if (code === 'HPE_HEADER_OVERFLOW')
    return [
      '431 Request Header Fields Too Large',
      new HttpError('headers_too_large', 'the head of the request is too large'),
    ]
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return ['408 Request Timeout', new HttpError('request_timeout', 'the request did not come in time')]
  return ['400 Bad Request', new HttpError('bad_request', 'this is no HTTP request')]
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
  // What undici will not send: the client has written something that HTTP does not have.
  if (code === 'UND_ERR_INVALID_ARG') return new HttpError('bad_request', message, { cause: error })
  if (statusCode !== undefined && statusCode < 500) return new HttpError('bad_request', message, { cause: error })
  return new HttpError('internal', 'something went wrong here; the log has the details', { cause: error })
}
