/** Lets the observer read along on a real stream that is piped elsewhere, as the proxy does. */
import { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createResponseObserver, type Observation, type ObserverOptions } from '../../proxy/observe-response.ts'
import type { Facts } from './answers.ts'

export interface Observed {
  seen: Observation
  /** What arrived where the stream was piped to. */
  received: Buffer
}

export async function observeChunks(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  headers: { type: string; encoding?: string | undefined },
  options: ObserverOptions = {},
): Promise<Observed> {
  const source = Readable.from(chunks)
  const received: Buffer[] = []
  const sink = new Writable({
    write(bytes: Buffer, _encoding, done) {
      received.push(Buffer.from(bytes))
      done()
    },
  })
  const errors: unknown[] = []
  const observer = createResponseObserver({ onError: error => errors.push(error) }, options)
  const { promise, resolve } = Promise.withResolvers<Observation>()
  source.pipe(sink)
  observer.observe(source, { type: headers.type, encoding: headers.encoding }, resolve)
  const [seen] = await Promise.all([promise, finished(sink)])
  if (errors.length > 0) throw new AggregateError(errors, 'the observer failed')
  return { seen, received: Buffer.concat(received) }
}

export function factsOf({ firstTokenAt, lastTokenAt, endedAt, ...facts }: Observation): Facts {
  return facts
}

/** Cuts bytes at the given places, wherever they fall. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length)).filter(one => one.length > 0)
}
