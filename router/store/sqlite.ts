/** The router's memory in SQLite. */
import type { RoutingKey } from '../keyspace.ts'
import type { Outcome } from '../outcome.ts'
import { decodePayload, encodePayload, expiresAt, readKeptPacket } from '../packet.ts'
import type { Database, Schema, SqlRow, SqlValue, Statement } from './database.ts'
import { createLedgerTable, ledgerMigration } from './ledger.ts'
import type { OutboxEntry, Store, StoredPacket } from './store.ts'

export const routerSchema: Schema = {
  part: 'router',
  migrations: [
    `CREATE TABLE outcomes (
       answer TEXT PRIMARY KEY, outcome TEXT NOT NULL, time INTEGER NOT NULL, expires INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX outcomes_by_expiry ON outcomes (expires);
     CREATE TABLE packets (
       author TEXT NOT NULL, answer TEXT NOT NULL, revision INTEGER NOT NULL, key TEXT NOT NULL,
       time INTEGER NOT NULL, expires INTEGER NOT NULL, bytes BLOB NOT NULL,
       PRIMARY KEY (author, answer)
     ) STRICT;
     CREATE INDEX packets_by_key ON packets (key, time);
     CREATE INDEX packets_by_expiry ON packets (expires);
     CREATE TABLE outbox (
       answer TEXT PRIMARY KEY, key TEXT NOT NULL, payload TEXT NOT NULL, due INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX outbox_by_due ON outbox (due);
     CREATE TABLE ledger (
       seq INTEGER PRIMARY KEY, answer TEXT NOT NULL, revision INTEGER NOT NULL, key TEXT NOT NULL,
       bytes BLOB NOT NULL, left_at INTEGER NOT NULL, recipients INTEGER NOT NULL,
       UNIQUE (answer, revision)
     ) STRICT;`,
    // Sweeps find what has expired without looking at what has not.
    `ALTER TABLE outbox ADD expires INTEGER NOT NULL DEFAULT 0;
     UPDATE outbox SET expires = json_extract(payload, '$.ts') + 3600 * json_extract(payload, '$.ttl');
     CREATE INDEX outbox_by_expiry ON outbox (expires);
     CREATE INDEX ledger_by_time ON ledger (left_at);`,
    'CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;',
    // A cap on what leaves a day looks at the last of one key.
    'CREATE INDEX ledger_by_key ON ledger (key, left_at)',
    ledgerMigration,
  ],
}

/** Long after a packet has expired everywhere, somebody may still ask what left. */
const LEDGER_LIFETIME_S = 400 * 24 * 3600

const PAGE = 1_000

/** Rows deleted, and free pages given back to the file system, in one go: milliseconds, for others wait meanwhile. */
const SWEPT_ROWS = 2_000
const RECLAIMED_PAGES = 1_000

type Table = 'outcomes' | 'packets' | 'outbox'

/** Rows kept at most; when there are more, those that came first go. */
export type StoreLimits = Partial<Record<Table | 'ledger', number>>

/** A packet takes about 0.8 KB with its indexes, anything else less. */
const LIMITS = { outcomes: 500_000, packets: 500_000, outbox: 100_000, ledger: 1_000_000 } satisfies StoreLimits

export function createSqliteStore(database: Database, limits: StoreLimits = {}): Store {
  const most = { ...LIMITS, ...limits }
  const ledger = createLedgerTable(database, { maxEntries: most.ledger })

  /** Rows are numbered as they come, so that the oldest are found without counting. */
  const trim = (table: Table): Statement => ({
    sql: `DELETE FROM ${table} WHERE rowid <= (SELECT max(rowid) FROM ${table}) - ?`,
    params: [most[table]],
  })

  async function deleteExpired(table: Table, column: string, until: number): Promise<void> {
    const statement = {
      sql: `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${column} <= ? LIMIT ${SWEPT_ROWS})`,
      params: [until],
    }
    for (let deleted = SWEPT_ROWS; deleted === SWEPT_ROWS; ) [deleted = 0] = await database.write([statement])
  }

  return {
    async outcome(answer) {
      const [row] = await database.all('SELECT outcome FROM outcomes WHERE answer = ?', [answer])
      return row && readOutcome(row)
    },
    async putOutcome(outcome, expires, departure) {
      await database.write([
        {
          sql: 'INSERT OR REPLACE INTO outcomes (answer, outcome, time, expires) VALUES (?, ?, ?, ?)',
          params: [outcome.answer, JSON.stringify(outcome), outcome.time, expires],
        },
        departure ? intoOutbox(departure) : outOfOutbox(outcome.answer),
        trim('outcomes'),
        trim('outbox'),
      ])
    },
    async outcomes(now, limit) {
      const rows = await database.all(
        'SELECT outcome FROM outcomes WHERE expires > ? ORDER BY time DESC, rowid DESC LIMIT ?',
        [now, limit],
      )
      return rows.reverse().map(readOutcome)
    },
    async putPacket(stored) {
      const [changed] = await database.write([intoPackets(stored), trim('packets')])
      return changed === 1
    },
    async dropPacket({ author, packet }) {
      const params = [author, packet.answer]
      await database.write([{ sql: 'DELETE FROM packets WHERE author = ? AND answer = ?', params }])
    },
    async *packets(now, limit) {
      const [first] = await database.all(
        'SELECT rowid AS place FROM packets WHERE expires > ? ORDER BY rowid DESC LIMIT 1 OFFSET ?',
        [now, limit - 1],
      )
      // In pages, since all at once would be in memory three times: there, under way, and here.
      for (let place = Number(first?.place ?? 1) - 1; ; ) {
        const rows = await database.all(
          'SELECT rowid AS place, key, bytes FROM packets WHERE expires > ? AND rowid > ? ORDER BY rowid LIMIT ?',
          [now, place, PAGE],
        )
        for (const row of rows) yield readPacket(row)
        if (rows.length < PAGE) return
        place = Number(rows.at(-1)?.place)
      }
    },
    async packetBytes(key, now, { offset, limit }) {
      const rows = await database.all(
        'SELECT bytes FROM packets WHERE key = ? AND expires > ? ORDER BY time DESC, rowid DESC LIMIT ? OFFSET ?',
        [key, now, limit, offset],
      )
      return rows.map(row => blob(row.bytes))
    },
    async forgetAuthors(keep) {
      const rows = await database.all('SELECT DISTINCT author FROM packets')
      const unwanted = rows.map(row => String(row.author)).filter(author => !keep(author))
      for (const author of unwanted) {
        await database.write([{ sql: 'DELETE FROM packets WHERE author = ?', params: [author] }])
      }
      return unwanted
    },
    async due(now, limit) {
      const rows = await database.all(
        'SELECT key, payload, due, request_id FROM outbox WHERE due <= ? ORDER BY due LIMIT ?',
        [now, limit],
      )
      return rows.map(readOutboxEntry)
    },
    async waiting(answer) {
      const [row] = await database.all('SELECT key, payload, due, request_id FROM outbox WHERE answer = ?', [answer])
      return row && readOutboxEntry(row)
    },
    async departures(answer) {
      const rows = await database.all('SELECT bytes FROM ledger WHERE answer = ? ORDER BY revision', [answer])
      return rows.map(row => readKeptPacket(blob(row.bytes)).packet)
    },
    async departedAt(key, answer, count) {
      const [row] = await database.all(
        'SELECT left_at FROM ledger WHERE key = ? AND answer <> ? ORDER BY left_at DESC LIMIT 1 OFFSET ?',
        [key, answer, count - 1],
      )
      return row && Number(row.left_at)
    },
    async cancelDeparture(answer) {
      await database.write([outOfOutbox(answer)])
    },
    async departed(stored, leftAt, requestId) {
      await ledger.append(stored, leftAt, requestId, [intoPackets(stored), trim('packets')])
    },
    async delivered(packet, recipients, retryAt) {
      // A change of mind while the packet was under way has put a later revision into the outbox: that one stays.
      const sameRevision = "answer = ? AND json_extract(payload, '$.rv') = ?"
      const which: SqlValue[] = [packet.answer, packet.revision]
      await database.write([
        {
          sql: 'UPDATE ledger SET recipients = recipients + ? WHERE answer = ? AND revision = ?',
          params: [recipients, ...which],
        },
        recipients > 0
          ? { sql: `DELETE FROM outbox WHERE ${sameRevision}`, params: which }
          : { sql: `UPDATE outbox SET due = ? WHERE ${sameRevision}`, params: [retryAt, ...which] },
      ])
    },
    ledger: ledger.page,
    wholeLedger: ledger.all,
    ledgerChain: ledger.chain,
    async state(name) {
      const [row] = await database.all('SELECT value FROM state WHERE name = ?', [name])
      return row && String(row.value)
    },
    async putState(name, value) {
      await database.write([{ sql: 'INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)', params: [name, value] }])
    },
    async sweep(now) {
      await deleteExpired('outcomes', 'expires', now)
      await deleteExpired('packets', 'expires', now)
      await deleteExpired('outbox', 'expires', now)
      await ledger.expire(now - LEDGER_LIFETIME_S)
      for (let free = 1, before = 0; free !== before && free > 0; ) {
        before = free
        await database.all(`PRAGMA incremental_vacuum(${RECLAIMED_PAGES})`)
        free = Number((await database.all('PRAGMA freelist_count'))[0]?.freelist_count)
      }
    },
  }
}

function intoOutbox({ key, packet, dueAt, requestId }: OutboxEntry): Statement {
  return {
    sql: 'INSERT OR REPLACE INTO outbox (answer, key, payload, due, expires, request_id) VALUES (?, ?, ?, ?, ?, ?)',
    params: [packet.answer, key, encodePayload(packet), dueAt, expiresAt(packet), requestId],
  }
}

function outOfOutbox(answer: string): Statement {
  return { sql: 'DELETE FROM outbox WHERE answer = ?', params: [answer] }
}

function intoPackets({ key, author, packet, bytes }: StoredPacket): Statement {
  return {
    sql: `INSERT INTO packets (author, answer, revision, key, time, expires, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (author, answer) DO UPDATE SET
            revision = excluded.revision, key = excluded.key, time = excluded.time,
            expires = excluded.expires, bytes = excluded.bytes
          WHERE excluded.revision > packets.revision`,
    params: [author, packet.answer, packet.revision, key, packet.time, expiresAt(packet), bytes],
  }
}

function readOutboxEntry(row: SqlRow): OutboxEntry {
  return {
    key: String(row.key) as RoutingKey,
    packet: decodePayload(String(row.payload)),
    requestId: String(row.request_id),
    dueAt: Number(row.due),
  }
}

function readOutcome(row: SqlRow): Outcome {
  return JSON.parse(String(row.outcome)) as Outcome
}

function readPacket(row: SqlRow): StoredPacket {
  const bytes = blob(row.bytes)
  return { key: String(row.key) as RoutingKey, bytes, ...readKeptPacket(bytes) }
}

function blob(value: SqlValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('expected a blob')
  return value
}
