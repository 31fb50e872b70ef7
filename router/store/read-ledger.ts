/** The ledger as another process reads it from the file, while the sidecar that owns it writes on. */
import type { DatabaseSync } from 'node:sqlite'
import type { LedgerChain, LedgerEntry } from '../ledger.ts'
import { openToRead } from './copy.ts'
import { DatabaseError, type SqlRow } from './database.ts'
import { LEDGER_COLUMNS, readChain, readLedgerEntry } from './ledger.ts'

export interface LedgerFile extends Disposable {
  readonly chain: LedgerChain
  /** Entries after the first `offset`, oldest first, all as they were when the file was opened. */
  entries(offset?: number): Generator<LedgerEntry, void>
  readonly count: number
  /** For what else belongs to an entry. */
  readonly database: DatabaseSync
}

/** @throws {DatabaseError} when there is no such file, or it is of a version that had no chain */
export function readLedger(file: string): LedgerFile {
  const database = openToRead(file)
  try {
    // One moment for all that is read.
    database.exec('BEGIN')
    const chain = readChain(database.prepare('SELECT * FROM ledger_chain').get() as SqlRow | undefined)
    const count = Number(database.prepare('SELECT count(*) AS n FROM ledger').get()?.n)
    return {
      chain,
      count,
      database,
      *entries(offset = 0) {
        const sql = `SELECT ${LEDGER_COLUMNS} FROM ledger ORDER BY seq LIMIT -1 OFFSET ?`
        for (const row of database.prepare(sql).iterate(offset)) yield readLedgerEntry(row as SqlRow)
      },
      [Symbol.dispose]: () => database.close(),
    }
  } catch (cause) {
    database.close()
    throw new DatabaseError(
      'ERR_DATABASE_FAILED',
      `${file} holds no ledger that can be read (${(cause as Error).message}); a sidecar of this version brings it up to date when it starts`,
      { cause },
    )
  }
}
