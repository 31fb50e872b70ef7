/** Reads a request body up to a bound and gives it back for forwarding, byte for byte. */
import { Readable } from 'node:stream'
import { HttpError } from './errors.ts'

export type ReadBody =
  /** The whole body. */
  | { bytes: Buffer; replay: undefined }
  /** It is longer than the bound: the same bytes again, to be read once. */
  | { bytes: undefined; replay: Readable }

/**
 * By listeners and not by iteration, which costs several times as much for the one chunk that most bodies are.
 *
 * @throws {HttpError} bad_request when the client goes away before it has sent the whole body
 */
export async function readBody(body: Readable, maxBytes: number): Promise<ReadBody> {
  const { promise, resolve, reject } = Promise.withResolvers<ReadBody>()
  const chunks: Buffer[] = []
  let length = 0
  const stop = () => {
    body.off('data', onData).off('end', onEnd).off('error', onBreak).off('close', onBreak)
  }
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length <= maxBytes) return
    body.pause()
    stop()
    resolve({ bytes: undefined, replay: Readable.from(resume(chunks, body), { objectMode: false }) })
  }
  const onEnd = () => {
    stop()
    resolve({ bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), replay: undefined })
  }
  const onBreak = (cause?: unknown) => {
    stop()
    reject(cause instanceof HttpError ? cause : endedEarly(cause))
  }
  body.on('data', onData).on('end', onEnd).on('error', onBreak).on('close', onBreak)
  return promise
}

/** The same bytes, until there are more than `maxBytes`. */
export function limited(body: Readable, maxBytes: number): Readable {
  return Readable.from(countUpTo(body, maxBytes), { objectMode: false })
}

export function tooLarge(maxBytes: number): HttpError {
  return new HttpError('body_too_large', `the request body is larger than ${maxBytes} bytes, the limit set here`)
}

async function* countUpTo(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let length = 0
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(maxBytes)
    yield chunk
  }
}

async function* resume(chunks: readonly Buffer[], rest: Readable): AsyncGenerator<Buffer> {
  yield* chunks
  try {
    yield* rest.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw cause instanceof HttpError ? cause : endedEarly(cause)
  }
}

function endedEarly(cause: unknown): HttpError {
  return new HttpError('bad_request', 'the request body ended early', { cause })
}
