/** Errors as clients of an OpenAI-compatible server expect to read them, and the one table of what each code means. */
import type { FastifyReply, RawServerBase, RouteGenericInterface } from 'fastify'

/** Every code that this program itself answers with; docs/errors.md explains them and a test holds the two together. */
export const errorCodes = {
  upstream_unreachable: 502,
  upstream_failed: 502,
  upstream_timeout: 504,
  bad_request: 400,
  not_found: 404,
  method_not_allowed: 405,
  invalid_json: 400,
  invalid_field: 422,
  contradiction: 422,
  idempotency_conflict: 422,
  evaluator_refused: 403,
  source_refused: 403,
  origin_refused: 403,
  host_refused: 421,
  rate_limited: 429,
  receipt_invalid: 422,
  receipt_expired: 404,
  unknown_id: 404,
  ambiguous_id: 409,
  body_too_large: 413,
  headers_too_large: 431,
  request_timeout: 408,
  unauthorized: 401,
  embedder_unavailable: 503,
  storage_unavailable: 503,
  internal: 500,
} as const
export type ErrorCode = keyof typeof errorCodes

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: ErrorCode
  /** Path of the field at fault, as `correction.type`. */
  readonly field: string | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { field?: string } = {}) {
    super(message, options)
    this.code = code
    this.field = options.field
  }
}

/** A reply of either HTTP version, since the pass-through's types allow for both. */
export type AnyReply = FastifyReply<RouteGenericInterface, RawServerBase>

export function sendError(reply: AnyReply, error: HttpError): AnyReply {
  return reply
    .code(errorCodes[error.code])
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(errorBody(error)))
}

/** As OpenAI's API says it. */
export function errorBody({ code, message, field }: HttpError) {
  const type = errorCodes[code] >= 500 ? 'server_error' : 'invalid_request_error'
  return { error: { message, type, param: field ?? null, code } }
}
