/**
 * The chain that makes the egress ledger evident to tampering: the hash of each entry covers the entry before it, so that
 * nothing can be changed, taken out or put elsewhere without every later hash being another (Haber, Stornetta 1991).
 */
import { createHash } from 'node:crypto'
import { type RoutingKey, toTopic } from './keyspace.ts'
import { encodePayload, readKeptPacket } from './packet.ts'

/** One departure: exact bytes, when, to where, and on account of which answer. */
export interface LedgerEntry {
  /** From 1, without gaps. */
  seq: number
  /** Routing key under which it was published. */
  key: RoutingKey
  /** `n` and `rv` of the packet. */
  answer: string
  revision: number
  /** Id of the request whose answer it is about; empty in entries of earlier versions. */
  requestId: string
  bytes: Uint8Array
  /** Unix seconds. */
  leftAt: number
  /** How many peers it was handed to when it left; more may have asked for it since. Not covered by the hash. */
  recipients: number
  /** 32 bytes; undefined in entries of versions that had no chain. */
  hash: Uint8Array | undefined
}

export interface ChainEnd {
  /** 0 before the first entry. */
  seq: number
  hash: Uint8Array
}

/** What stays when the oldest entries go (the end of what went), and the end of all. */
export interface LedgerChain {
  anchor: ChainEnd
  head: ChainEnd
}

const CHAIN = 'qis-ledger/1'

/** SHA-256 over parts that are each preceded by their length in four bytes, big endian; numbers are written in decimals. */
export function entryHash(previous: Uint8Array, entry: Omit<LedgerEntry, 'hash' | 'recipients'>): Buffer {
  const { seq, leftAt, key, answer, revision, requestId, bytes } = entry
  const hash = createHash('sha256')
  for (const part of [CHAIN, previous, `${seq}`, `${leftAt}`, key, answer, `${revision}`, requestId, bytes]) {
    const content = Buffer.from(part)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(content.length)
    hash.update(length).update(content)
  }
  return hash.digest()
}

/** An entry as it is shown. */
export interface LedgerLine extends Pick<LedgerEntry, 'seq' | 'key' | 'leftAt' | 'recipients' | 'requestId'> {
  /** The gossip topic it was published under. */
  topic: string
  /** The signed payload, exactly as it left. */
  payload: string
  /** Length of the whole packet, payload and signature, as it left. */
  bytes: number
  /** 64 hex digits. */
  hash: string | undefined
}

export function ledgerLine({ seq, leftAt, key, requestId, recipients, bytes, hash }: LedgerEntry): LedgerLine {
  return {
    seq,
    leftAt,
    key,
    topic: toTopic(key),
    requestId,
    recipients,
    payload: encodePayload(readKeptPacket(bytes).packet),
    bytes: bytes.length,
    hash: hash && Buffer.from(hash).toString('hex'),
  }
}

export interface LedgerVerdict {
  ok: boolean
  /** Entries that were looked at, and those of earlier versions, which no hash covers. */
  entries: number
  unchained: number
  /** The first entry at fault, and what is wrong; undefined when all is well. */
  at?: number
  fault?: 'changed' | 'missing' | 'end_missing' | 'not_as_noted' | 'noted_too_long_ago'
  /** The end of the chain as it should be; note it elsewhere to prove later that nothing before it was rewritten. */
  head: ChainEnd
}

/**
 * Recomputes every hash.
 *
 * @param entries all that are kept, in the order of `seq`
 * @param noted an end of this chain that was seen earlier: what it covered must still be the same
 */
export async function verifyLedger(
  entries: AsyncIterable<LedgerEntry> | Iterable<LedgerEntry>,
  { anchor, head }: LedgerChain,
  noted?: ChainEnd,
): Promise<LedgerVerdict> {
  let at = anchor
  let count = 0
  let unchained = 0
  const verdict = () => ({ entries: count, unchained, head })
  const agrees = (end: ChainEnd | undefined) => end?.seq !== at.seq || equal(end.hash, at.hash)
  if (noted && noted.seq < anchor.seq) return { ok: false, at: noted.seq, fault: 'noted_too_long_ago', ...verdict() }
  if (!agrees(noted)) return { ok: false, at: at.seq, fault: 'not_as_noted', ...verdict() }
  for await (const entry of entries) {
    count++
    if (entry.hash === undefined && entry.seq <= anchor.seq) {
      unchained++
      continue
    }
    if (entry.seq !== at.seq + 1) return { ok: false, at: at.seq + 1, fault: 'missing', ...verdict() }
    const hash = entryHash(at.hash, entry)
    if (!equal(hash, entry.hash)) return { ok: false, at: entry.seq, fault: 'changed', ...verdict() }
    at = { seq: entry.seq, hash }
    if (!agrees(head)) return { ok: false, at: at.seq, fault: 'changed', ...verdict() }
    if (!agrees(noted)) return { ok: false, at: at.seq, fault: 'not_as_noted', ...verdict() }
  }
  // What was written while this was read goes beyond the end.
  if (at.seq < Math.max(head.seq, noted?.seq ?? 0)) {
    return { ok: false, at: at.seq + 1, fault: 'end_missing', ...verdict() }
  }
  return { ok: true, ...verdict() }
}

function equal(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}
