/** Reads a request body up to a bound and gives it back for forwarding, byte for byte. */
import { Readable } from 'node:stream'
import { HttpError } from './errors.ts'

export type ReadBody =
  /** The whole body. */
  | { bytes: Buffer; replay: undefined }
  /** It is longer than the bound: the same bytes again, to be read once. */
  | { bytes: undefined; replay: Readable }

/** @throws {HttpError} bad_request when the client goes away before it has sent the whole body */
export async function readBody(body: Readable, maxBytes: number): Promise<ReadBody> {
  const source: AsyncIterator<Buffer> = body.iterator({ destroyOnReturn: false })
  const chunks: Buffer[] = []
  let length = 0
  while (length <= maxBytes) {
    const { value, done } = await next(source)
    if (done) return { bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks), replay: undefined }
    chunks.push(value)
    length += value.length
  }
  return { bytes: undefined, replay: Readable.from(resume(chunks, source), { objectMode: false }) }
}

/** The same bytes, until there are more than `maxBytes`. */
export function limited(body: Readable, maxBytes: number): Readable {
  return Readable.from(countUpTo(body.iterator({ destroyOnReturn: false }), maxBytes), { objectMode: false })
}

export function tooLarge(maxBytes: number): HttpError {
  return new HttpError('body_too_large', `the request body is larger than ${maxBytes} bytes, the limit set here`)
}

async function* countUpTo(source: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let length = 0
  for await (const chunk of source) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(maxBytes)
    yield chunk
  }
}

async function* resume(chunks: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
  for (let chunk = await next(rest); !chunk.done; chunk = await next(rest)) yield chunk.value
}

async function next(source: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await source.next()
  } catch (cause) {
    if (cause instanceof HttpError) throw cause
    throw new HttpError('bad_request', 'the request body ended early', { cause })
  }
}
