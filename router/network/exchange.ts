/** The backfill protocol: one peer asks another, page by page, for the packets it holds under a key. */
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { RoutingKey } from '../keyspace.ts'
import type { Logger } from '../telemetry.ts'
import { isFrame } from './checks.ts'
import { deadline, within } from './deadline.ts'
import type { NetworkEvent } from './events.ts'
import { MAX_FRAME_BYTES, type NetworkHandlers } from './network.ts'
import type { RateLimit } from './rate-limit.ts'

export const SYNC_PROTOCOL = '/qis/sync/1.0.0'

/**
 * A request is one length-prefixed frame: key (32 bytes), offset (32 bits), limit (16 bits), big endian. The answer is
 * up to `limit` frames of one packet each, newest first, and an empty frame. The next request may follow on the same
 * stream.
 */
const REQUEST_BYTES = 38

/** The most that a peer may send ahead of being read. */
const MAX_BUFFERED_BYTES = 1 << 16

export interface Exchange {
  /** Answers the requests that come in on one stream. Never rejects. */
  serve(stream: Stream, connection: Connection): Promise<void>
  /**
   * Asks for the packets under `key`, a page at a time, newest first but for the first `from`, until the peer has no
   * more. Rejects when the peer is away, too slow or breaks the protocol.
   */
  pages(connection: Connection, key: RoutingKey, signal: AbortSignal, from?: number): AsyncGenerator<Uint8Array[], void>
}

export interface ExchangeOptions {
  /** Packets a page. */
  pageSize: number
  /** Packets handed out, or asked for, in one go. */
  maxPackets: number
  /** A page, or the next request, that takes longer ends the stream. */
  pageDeadlineMs: number
}

/** Peers served at a time; more are turned away. */
const MAX_SERVED = 16
/** Streams a peer may have open: the one being served, and the one that may overlap its end. */
export const MAX_SYNC_STREAMS = 2

export function createExchange(
  components: {
    list: NetworkHandlers['list']
    /** Takes a token for each page that a peer asks for. */
    limit: RateLimit
    /** Called for a peer that broke the protocol. */
    blame(peer: PeerId): void
    count(event: NetworkEvent): void
    logger: Logger
  },
  options: ExchangeOptions,
): Exchange {
  const { list, limit: pageLimit, blame, count, logger } = components
  const { pageSize, maxPackets, pageDeadlineMs } = options
  const serving = createTurns()
  const asking = createTurns()
  const maxPages = Math.ceil(maxPackets / pageSize)

  async function answer(stream: Stream, connection: Connection): Promise<void> {
    const frames = lpStream(stream, { maxDataLength: REQUEST_BYTES, maxBufferSize: MAX_BUFFERED_BYTES })
    for (let page = 0; page < maxPages; page += 1) {
      const signal = deadline(pageDeadlineMs)
      const request = await readRequest(frames, signal)
      if (request === undefined) break
      if (request.limit < 1 || request.limit > pageSize) throw new ProtocolBrokenError(`a limit of ${request.limit}`)
      if (!pageLimit.take(connection.remotePeer.toString())) throw new TurnedAwayError('sync_rate')
      const packets = await within(signal, list(request.key, { offset: request.offset, limit: request.limit }))
      const sound = packets.filter(isFrame).slice(0, request.limit)
      await frames.writeV([...sound, new Uint8Array()], { signal })
    }
    await stream.close({ signal: deadline(pageDeadlineMs) })
    logger.debug({ peer: connection.remotePeer.toString() }, 'served backfill')
  }

  async function* ask(connection: Connection, key: RoutingKey, signal: AbortSignal, from: number) {
    const stream = await connection.newStream(SYNC_PROTOCOL, {
      signal: deadline(pageDeadlineMs, signal),
      maxOutboundStreams: MAX_SYNC_STREAMS,
    })
    let closed = false
    try {
      const frames = lpStream(stream, { maxDataLength: MAX_FRAME_BYTES, maxBufferSize: MAX_BUFFERED_BYTES })
      for (let offset = from; offset < maxPackets; offset += pageSize) {
        const limit = Math.min(pageSize, maxPackets - offset)
        const pageSignal = deadline(pageDeadlineMs, signal)
        await frames.write(encodeRequest(key, offset, limit), { signal: pageSignal })
        const packets: Uint8Array[] = []
        for (;;) {
          const bytes = (await frames.read({ signal: pageSignal })).subarray()
          if (bytes.byteLength === 0) break
          if (packets.length === limit) throw new ProtocolBrokenError('more packets than were asked for')
          packets.push(new Uint8Array(bytes))
        }
        if (packets.length > 0) yield packets
        if (packets.length < limit) break
      }
      await stream.close({ signal: deadline(pageDeadlineMs, signal) })
      closed = true
    } catch (error) {
      if (isBreach(error)) blame(connection.remotePeer)
      if (!signal.aborted) count(eventOf(error))
      throw error
    } finally {
      // also when the caller has read enough
      if (!closed) stream.abort(new Error('backfill ended early'))
    }
  }

  return {
    async serve(stream, connection) {
      const peer = connection.remotePeer.toString()
      let release: (() => void) | undefined
      try {
        if (serving.busy() >= MAX_SERVED && !serving.has(peer)) throw new TurnedAwayError('sync_busy')
        release = await serving.enter(peer, deadline(pageDeadlineMs * maxPages))
        await answer(stream, connection)
      } catch (error) {
        if (isBreach(error)) blame(connection.remotePeer)
        count(eventOf(error))
        logger.debug({ err: error, peer }, 'backfill stream ended early')
        stream.abort(error instanceof Error ? error : new Error('backfill failed', { cause: error }))
      } finally {
        release?.()
      }
    },
    async *pages(connection, key, signal, from = 0) {
      const release = await asking.enter(connection.remotePeer.toString(), signal)
      try {
        yield* ask(connection, key, signal, from)
      } finally {
        release()
      }
    },
  }
}

/** One request, without the length before it. */
export function encodeRequest(key: RoutingKey, offset: number, limit: number): Uint8Array {
  const request = Buffer.alloc(REQUEST_BYTES)
  request.write(key, 'hex')
  request.writeUInt32BE(offset, 32)
  request.writeUInt16BE(limit, 36)
  return request
}

/** Undefined when the peer has nothing more to ask. */
async function readRequest(
  frames: ReturnType<typeof lpStream>,
  signal: AbortSignal,
): Promise<{ key: RoutingKey; offset: number; limit: number } | undefined> {
  let bytes: Uint8Array
  try {
    bytes = (await frames.read({ signal })).subarray()
  } catch (error) {
    if (error instanceof Error && error.name === 'UnexpectedEOFError') return undefined
    throw error
  }
  if (bytes.byteLength !== REQUEST_BYTES) throw new ProtocolBrokenError(`a request of ${bytes.byteLength} bytes`)
  const request = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    key: request.toString('hex', 0, 32) as RoutingKey,
    offset: request.readUInt32BE(32),
    limit: request.readUInt16BE(36),
  }
}

class TurnedAwayError extends Error {
  override readonly name = 'TurnedAwayError'
  readonly event: 'sync_rate' | 'sync_busy'

  constructor(event: 'sync_rate' | 'sync_busy') {
    super(event === 'sync_rate' ? 'this peer asks too often' : 'busy with other peers')
    this.event = event
  }
}

class ProtocolBrokenError extends Error {
  override readonly name = 'ProtocolBrokenError'
}

/** What only a peer that ignores the protocol can cause; being slow or gone is no breach. */
const BREACHES = new Set([
  'ProtocolBrokenError',
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
  'InvalidMessageLengthError',
  'StreamBufferError',
])

function isBreach(error: unknown): boolean {
  return error instanceof Error && BREACHES.has(error.name)
}

function eventOf(error: unknown): NetworkEvent {
  if (error instanceof TurnedAwayError) return error.event
  return isBreach(error) ? 'sync_breach' : 'sync_failed'
}

/** One at a time for each peer; the others wait in line. */
function createTurns() {
  const tails = new Map<string, Promise<void>>()
  return {
    busy: () => tails.size,
    has: (peer: string) => tails.has(peer),
    async enter(peer: string, signal: AbortSignal): Promise<() => void> {
      const before = tails.get(peer) ?? Promise.resolve()
      const { promise: left, resolve } = Promise.withResolvers<void>()
      const tail = before
        .then(() => left)
        .then(() => {
          if (tails.get(peer) === tail) tails.delete(peer)
        })
      tails.set(peer, tail)
      try {
        await within(signal, before)
        return resolve
      } catch (error) {
        resolve()
        throw error
      }
    },
  }
}
