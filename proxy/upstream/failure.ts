/** What a client is told when the upstream could not answer. */
import { HttpError } from '../errors.ts'

export function upstreamFailure(error: Error): HttpError {
  const cause = (error.cause ?? error) as NodeJS.ErrnoException
  // Not the upstream's fault: what we read of the request made us stop.
  if (cause instanceof HttpError) return cause
  switch (cause.code) {
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return new HttpError('upstream_timeout', 'the LLM server did not answer in time', { cause: error })
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return new HttpError('upstream_unreachable', `the LLM server cannot be reached (${cause.code})`, { cause: error })
    default:
      return new HttpError('upstream_failed', `the LLM server broke off (${cause.code ?? cause.message})`, {
        cause: error,
      })
  }
}
