/** Lets the observer read along on a real stream that is piped elsewhere, as the proxy does. */
import { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import {
  createResponseObserver,
  type Observation,
  type ObserverOptions,
  type ResponseObserver,
} from '../../proxy/observe-response.ts'
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
  follow(observer, source, { type: headers.type, encoding: headers.encoding }, resolve)
  const [seen] = await Promise.all([promise, finished(sink)])
  if (errors.length > 0) throw new AggregateError(errors, 'the observer failed')
  return { seen, received: Buffer.concat(received) }
}

/** Tells the observer of a stream's bytes as they pass. */
export function follow(
  observer: ResponseObserver,
  stream: Readable,
  headers: { type: string; encoding: string | undefined },
  done: (seen: Observation) => void,
): void {
  const follower = observer.follow(headers, done)
  stream.on('data', (bytes: Buffer) => follower?.write(bytes))
  stream.once('end', () => follower?.end(true))
  stream.once('close', () => follower?.end(false))
}

export function factsOf({ firstTokenAt, lastTokenAt, endedAt, ...facts }: Observation): Facts {
  return facts
}

/** Cuts bytes at the given places, wherever they fall. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length)).filter(one => one.length > 0)
}
