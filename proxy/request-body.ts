/** Reads a request body up to a bound and gives it back for forwarding, byte for byte. */
import { Readable } from 'node:stream'

export interface ReadBody {
  /** The whole body, or undefined when it is longer than the bound. */
  bytes: Buffer | undefined
  /** The same bytes again, to be read once. */
  replay: Readable
}

/** Rejects when the client goes away before it has sent the whole body. */
export async function readBody(body: Readable, maxBytes: number): Promise<ReadBody> {
  const source: AsyncIterator<Buffer> = body.iterator({ destroyOnReturn: false })
  const chunks: Buffer[] = []
  let length = 0
  while (length <= maxBytes) {
    const { value, done } = await source.next()
    if (done) {
      const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
      return { bytes, replay: Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false }) }
    }
    chunks.push(value)
    length += value.length
  }
  return { bytes: undefined, replay: Readable.from(resume(chunks, source), { objectMode: false }) }
}

async function* resume(chunks: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}
