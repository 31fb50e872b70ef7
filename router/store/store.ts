/** The contract of what the router remembers across restarts: own outcomes, peers' packets, packets yet to leave. */
import type { RoutingKey } from '../keyspace.ts'
import type { LedgerChain, LedgerEntry } from '../ledger.ts'
import type { Outcome } from '../outcome.ts'
import type { Packet } from '../packet.ts'

/** A packet as it came over the network (or went out), with its exact bytes. */
export interface StoredPacket {
  key: RoutingKey
  author: string
  packet: Packet
  bytes: Uint8Array
}

/** A packet that is to leave at `dueAt`; not yet signed, so that until then a change of mind costs nothing. */
export interface OutboxEntry {
  key: RoutingKey
  packet: Packet
  /** The request whose answer it is about; never leaves. */
  requestId: string
  /** Unix seconds. */
  dueAt: number
}

/** Every write resolves once it is durable against a crash of this process, and rejects with a DatabaseError. */
export interface Store {
  outcome(answer: string): Promise<Outcome | undefined>
  /** Keeps an outcome of this site, replacing what was held for the same answer, together with its way out, if any. */
  putOutcome(outcome: Outcome, expiresAt: number, departure?: OutboxEntry): Promise<void>
  /** This site's unexpired outcomes, oldest first, at most `limit` (the newest). */
  outcomes(now: number, limit: number): Promise<Outcome[]>

  /** Keeps a packet, one for each (author, answer). False when that revision or a later one is held already. */
  putPacket(stored: StoredPacket): Promise<boolean>
  dropPacket(stored: Pick<StoredPacket, 'author' | 'packet'>): Promise<void>
  /** Unexpired packets in the order of their arrival, at most `limit` (the last). */
  packets(now: number, limit: number): AsyncIterable<StoredPacket>
  /** Bytes of unexpired packets of one key, newest first. */
  packetBytes(key: RoutingKey, now: number, page: { offset: number; limit: number }): Promise<Uint8Array[]>

  /** Deletes the packets of all authors but those that `keep` is true of; returns who they were. */
  forgetAuthors(keep: (author: string) => boolean): Promise<string[]>

  /** Entries due by `now`, oldest first. */
  due(now: number, limit: number): Promise<OutboxEntry[]>
  /** What waits to leave about this answer, due or not. */
  waiting(answer: string): Promise<OutboxEntry | undefined>
  /** What has left about this answer, oldest first. */
  departures(answer: string): Promise<Packet[]>
  /**
   * When the last but `count` − 1 of the packets under this key that are about other answers left, Unix seconds; undefined
   * when fewer have.
   */
  departedAt(key: RoutingKey, answer: string, count: number): Promise<number | undefined>
  /** Takes an entry out of the outbox without sending it. */
  cancelDeparture(answer: string): Promise<void>
  /** Records that `bytes` are about to leave, and keeps them for peers that ask later. */
  departed(stored: StoredPacket, leftAt: number, requestId: string): Promise<void>
  /** Records to how many peers a departed packet was handed; above 0 it leaves the outbox, else it is due again. */
  delivered(packet: Packet, recipients: number, retryAt: number): Promise<void>
  /** What has left, newest first. */
  ledger(page: { offset: number; limit: number }): Promise<LedgerEntry[]>
  /** All of the ledger, in the order in which it was written. */
  wholeLedger(): AsyncIterable<LedgerEntry>
  ledgerChain(): Promise<LedgerChain>

  /** What was learnt over time and cannot be told from what is live; a few kilobytes at most. */
  state(name: string): Promise<string | undefined>
  putState(name: string, value: string): Promise<void>

  /** Deletes what has expired. */
  sweep(now: number): Promise<void>
}
