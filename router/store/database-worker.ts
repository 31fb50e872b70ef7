/** The worker that owns the SQLite file; answers one request after another, in order. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import {
  DatabaseError,
  type DatabaseErrorCode,
  OPENED,
  type Schema,
  type SqlRow,
  type Statement,
  type WorkerReply,
  type WorkerRequest,
} from './database.ts'

const { file, schemas, busyTimeoutMs } = workerData as { file: string; schemas: Schema[]; busyTimeoutMs: number }

/** SQLite's primary result codes, https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

const RESTORE = 'restore a backup, or move the file away to start with an empty one; nothing was changed'

function open(): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: busyTimeoutMs })
  try {
    check(db)
    // WAL with synchronous=NORMAL survives kill -9 of this process; a power cut may lose the last commits.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA auto_vacuum = INCREMENTAL')
    migrate(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function check(db: DatabaseSync): void {
  const verdict = db.prepare('PRAGMA quick_check(1)').get()
  if (verdict?.quick_check !== 'ok') {
    throw new DatabaseError('ERR_DATABASE_CORRUPT', `${file} is damaged (${verdict?.quick_check}): ${RESTORE}`)
  }
}

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    db.exec('CREATE TABLE IF NOT EXISTS schema_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT')
    for (const { part, migrations } of schemas) {
      const row = db.prepare('SELECT version FROM schema_version WHERE part = ?').get(part)
      const version = Number(row?.version ?? 0)
      if (version > migrations.length) {
        throw new DatabaseError(
          'ERR_DATABASE_NEWER',
          `${file} was written by a newer qis-sidecar (${part} ${version}, known here: ${migrations.length}): upgrade, or restore an older backup; nothing was changed`,
        )
      }
      for (const step of migrations.slice(version)) db.exec(step)
      db.prepare('INSERT OR REPLACE INTO schema_version VALUES (?, ?)').run(part, migrations.length)
    }
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function asDatabaseError(error: unknown): { code: DatabaseErrorCode; message: string } {
  if (error instanceof DatabaseError) return { code: error.code, message: error.message }
  const message = error instanceof Error ? error.message : String(error)
  const errcode = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  switch (errcode) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return { code: 'ERR_DATABASE_CORRUPT', message: `${file} is not a readable database (${message}): ${RESTORE}` }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return { code: 'ERR_DATABASE_LOCKED', message: `${file} is locked by another process` }
    case SQLITE_FULL:
      return { code: 'ERR_DATABASE_FULL', message: `the disk of ${file} is full` }
    default:
      return { code: 'ERR_DATABASE_FAILED', message: `${file}: ${message}` }
  }
}

/** Bounded by the number of statements in the program: no SQL is built from data. */
const prepared = new Map<string, StatementSync>()

function prepare(db: DatabaseSync, sql: string): StatementSync {
  let statement = prepared.get(sql)
  if (!statement) {
    statement = db.prepare(sql)
    prepared.set(sql, statement)
  }
  return statement
}

function write(db: DatabaseSync, statements: readonly Statement[]): number[] {
  db.exec('BEGIN IMMEDIATE')
  try {
    const changes = statements.map(({ sql, params = [] }) => Number(prepare(db, sql).run(...params).changes))
    db.exec('COMMIT')
    return changes
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function answer(db: DatabaseSync, request: WorkerRequest): WorkerReply {
  try {
    return request.kind === 'all'
      ? { id: request.id, rows: prepare(db, request.sql).all(...request.params) as SqlRow[] }
      : { id: request.id, changes: write(db, request.statements) }
  } catch (error) {
    return { id: request.id, error: asDatabaseError(error) }
  }
}

const port = parentPort
if (!port) throw new Error('database-worker.ts runs as a worker only')
try {
  const db = open()
  port.on('message', (request: WorkerRequest | 'close') => {
    if (request === 'close') {
      db.close()
      port.close()
    } else {
      port.postMessage(answer(db, request))
    }
  })
  port.postMessage({ id: OPENED, rows: [] } satisfies WorkerReply)
} catch (error) {
  port.postMessage({ id: OPENED, error: asDatabaseError(error) } satisfies WorkerReply)
}
