/** The egress ledger in SQLite: entries are put at the end of a chain, and go from its beginning. */
import type { RoutingKey } from '../keyspace.ts'
import { type ChainEnd, entryHash, type LedgerChain, type LedgerEntry } from '../ledger.ts'
import { createTurns } from '../turns.ts'
import type { Database, SqlRow, SqlValue, Statement } from './database.ts'
import type { StoredPacket } from './store.ts'

export const ledgerMigration = `
  ALTER TABLE outbox ADD request_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE ledger ADD request_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE ledger ADD hash BLOB;
  CREATE TABLE ledger_chain (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    anchor_seq INTEGER NOT NULL, anchor_hash BLOB NOT NULL, head_seq INTEGER NOT NULL, head_hash BLOB NOT NULL
  ) STRICT;
  INSERT INTO ledger_chain
    SELECT 1, coalesce(max(seq), 0), zeroblob(32), coalesce(max(seq), 0), zeroblob(32) FROM ledger;`

export const LEDGER_COLUMNS = 'seq, key, answer, revision, request_id, bytes, left_at, recipients, hash'

/** Entries read, or let go, in one step. */
const STRIDE = 1_000

export interface LedgerTable {
  /** Writes an entry, in one transaction with `others`; an answer's revision has one entry, however often it leaves. */
  append(stored: StoredPacket, leftAt: number, requestId: string, others: readonly Statement[]): Promise<void>
  page(page: { offset: number; limit: number }): Promise<LedgerEntry[]>
  all(): AsyncIterable<LedgerEntry>
  chain(): Promise<LedgerChain>
  /** Lets go of what left by `until`, oldest first; an entry that left later keeps those that follow it. */
  expire(until: number): Promise<void>
}

export function createLedgerTable(database: Database, { maxEntries }: { maxEntries: number }): LedgerTable {
  const turns = createTurns()
  /** As it is in the database; undefined when that has to be looked up. */
  let head: ChainEnd | undefined

  async function chain(): Promise<LedgerChain> {
    const [row] = await database.all('SELECT * FROM ledger_chain')
    return readChain(row)
  }

  async function append(stored: StoredPacket, leftAt: number, requestId: string, others: readonly Statement[]) {
    const { key, packet, bytes } = stored
    const { answer, revision } = packet
    const last = head ?? (await chain()).head
    // Read anew, should this fail halfway.
    head = undefined
    const entry = { seq: last.seq + 1, key, answer, revision, requestId, bytes, leftAt }
    const hash = entryHash(last.hash, entry)
    const [inserted] = await database.write([
      {
        // A number that was given away meanwhile fails, and is tried again later.
        sql: `INSERT INTO ledger (${LEDGER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (answer, revision) DO NOTHING`,
        params: [entry.seq, key, answer, revision, requestId, bytes, leftAt, hash],
      },
      {
        sql: 'UPDATE ledger_chain SET head_seq = ?1, head_hash = ?2 WHERE EXISTS (SELECT 1 FROM ledger WHERE seq = ?1 AND hash = ?2)',
        params: [entry.seq, hash],
      },
      ...others,
      ...lettingGo(entry.seq - maxEntries),
    ])
    head = inserted === 1 ? { seq: entry.seq, hash } : last
  }

  return {
    append: (...args) => turns.take('', () => append(...args)),
    chain,
    async page({ offset, limit }) {
      const sql = `SELECT ${LEDGER_COLUMNS} FROM ledger ORDER BY seq DESC LIMIT ? OFFSET ?`
      return (await database.all(sql, [limit, offset])).map(readLedgerEntry)
    },
    async *all() {
      for (let seq = 0; ; ) {
        const sql = `SELECT ${LEDGER_COLUMNS} FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?`
        const rows = await database.all(sql, [seq, STRIDE])
        for (const row of rows) yield readLedgerEntry(row)
        if (rows.length < STRIDE) return
        seq = Number(rows.at(-1)?.seq)
      }
    },
    async expire(until) {
      for (;;) {
        // Without the plus, the index would look at all that is kept.
        const [kept] = await database.all('SELECT seq FROM ledger WHERE +left_at > ? ORDER BY seq LIMIT 1', [until])
        const before = Number(kept?.seq ?? Number.MAX_SAFE_INTEGER)
        const sql =
          'SELECT max(seq) AS last, count(*) AS n FROM (SELECT seq FROM ledger WHERE seq < ? ORDER BY seq LIMIT ?)'
        const [going] = await database.all(sql, [before, STRIDE])
        if (typeof going?.last !== 'number') return
        await database.write(lettingGo(going.last))
        if (going.n !== STRIDE) return
      }
    },
  }
}

/** Deletes all up to `seq`, and keeps its hash, from which the rest can still be checked. */
function lettingGo(seq: number): Statement[] {
  return [
    {
      sql: 'UPDATE ledger_chain SET (anchor_seq, anchor_hash) = (SELECT seq, hash FROM ledger WHERE seq = ?1) WHERE EXISTS (SELECT 1 FROM ledger WHERE seq = ?1 AND hash IS NOT NULL)',
      params: [seq],
    },
    { sql: 'DELETE FROM ledger WHERE seq <= ?', params: [seq] },
  ]
}

export function readChain(row: SqlRow | undefined): LedgerChain {
  return {
    anchor: { seq: Number(row?.anchor_seq), hash: blob(row?.anchor_hash) },
    head: { seq: Number(row?.head_seq), hash: blob(row?.head_hash) },
  }
}

export function readLedgerEntry(row: SqlRow): LedgerEntry {
  return {
    seq: Number(row.seq),
    key: String(row.key) as RoutingKey,
    answer: String(row.answer),
    revision: Number(row.revision),
    requestId: String(row.request_id),
    bytes: blob(row.bytes),
    leftAt: Number(row.left_at),
    recipients: Number(row.recipients),
    hash: row.hash === null ? undefined : blob(row.hash),
  }
}

function blob(value: SqlValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('expected a blob')
  return value
}
