/** The contract between the router and whatever carries packets to peers; it moves bytes and knows nothing of them. */
import type { RoutingKey } from '../keyspace.ts'

/** The longest run of bytes that is carried as one packet. */
export const MAX_FRAME_BYTES = 576

/** The network cannot listen or does not understand an address; the message names both. */
export class NetworkStartError extends Error {
  override readonly name = 'NetworkStartError'
  readonly code = 'ERR_NETWORK_START'
}

/** Bytes that no peer would take: none at all, or more than `MAX_FRAME_BYTES`. */
export class NetworkFrameError extends Error {
  override readonly name = 'NetworkFrameError'
  readonly code = 'ERR_NETWORK_FRAME'
}

/**
 * What the router thinks of bytes that a peer sent: `accept` them (and pass them on), `ignore` them (known already, or
 * not now), or `reject` them (and think less of whoever sent them).
 */
export type Verdict = 'accept' | 'ignore' | 'reject'

/**
 * What the network asks of the router; both may be called before `start` has resolved. When one rejects, the network logs
 * it and goes on as if it had said `ignore`, or held nothing.
 */
export interface NetworkHandlers {
  /**
   * Judges and keeps one packet that arrived for `key`.
   *
   * @param from id of the peer that handed it over, who need not be the one that signed it
   */
  receive(key: RoutingKey, bytes: Uint8Array, from?: string): Promise<Verdict>
  /** The live packets held for `key`, newest first, for a peer that has just joined; at most `limit` after `offset`. */
  list(key: RoutingKey, page: { offset: number; limit: number }): Promise<Uint8Array[]>
  /** The network, which was up, has ended by itself: until it is started again nothing comes or goes. */
  lost?(): void
}

/** A peer that this node is connected to. */
export interface Connected {
  id: string
  /** Of the far end, one for each connection. */
  addresses: string[]
  /** When the oldest of them was made, Unix seconds. */
  since: number
}

export interface NetworkStatus {
  /** How this node is known to others. */
  id: string
  /** Where others can dial it. */
  addresses: string[]
  /** Ids of the peers it is connected to. */
  peers: string[]
  /** The same peers, and how. */
  connected: Connected[]
  /** How many keys it has joined. */
  keys: number
}

export interface Network extends AsyncDisposable {
  /**
   * Begins to listen and to look for peers; does nothing where it does already. Rejects with `ERR_NETWORK_START` when it
   * cannot listen; the caller decides to go on without, or to try again: what was joined meanwhile stays joined. Disposing
   * stops it for good.
   */
  start(handlers: NetworkHandlers): Promise<void>
  /** Says that this node wants packets for `key`: subscribes at once; announces and backfills in the background. */
  join(key: RoutingKey): void
  /** Takes `join` back. */
  leave(key: RoutingKey): void
  /**
   * Hands a packet to the peers that joined `key`, looking for them first when none is known. Resolves to how many
   * peers it was handed to, 0 when alone; being alone is no error. A sender need not have joined. Rejects with
   * `ERR_NETWORK_FRAME` for bytes that cannot be a packet, and with the signal's reason when that aborts the search.
   */
  publish(key: RoutingKey, bytes: Uint8Array, options?: { signal?: AbortSignal }): Promise<number>
  /**
   * Asks a few holders of `key` for their live packets and gives each to `receive`. Resolves to how many arrived; an
   * unreachable holder is passed over. An aborted signal ends it with what has arrived.
   */
  backfill(key: RoutingKey, options?: { signal?: AbortSignal }): Promise<number>
  status(): NetworkStatus
}
