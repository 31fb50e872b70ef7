/**
 * The worker that owns the SQLite file. It answers in order, and writes in groups: what waits when it comes to look goes
 * into one transaction, so that many small writes cost one commit (group commit; DeWitt et al. 1984).
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { closeToOthers, makePrivateFile } from '../private-file.ts'
import {
  type DatabaseErrorCode,
  type Durability,
  OPENED,
  type Schema,
  type SqlRow,
  type WorkerReply,
  type WorkerRequest,
} from './database.ts'
import { asDatabaseError, checkWhole, schemaVersion } from './soundness.ts'

const { file, schemas, busyTimeoutMs, durability } = workerData as {
  file: string
  schemas: Schema[]
  busyTimeoutMs: number
  durability: Durability
}

/** With a write-ahead log, NORMAL survives kill -9 of this process; FULL waits for the disk, and survives a power cut. */
const SYNCHRONOUS: Record<Durability, string> = { process: 'NORMAL', power: 'FULL' }

/** Requests in one group at most, so that none waits long for others, and bounds what one transaction writes. */
const MAX_GROUP = 256

/** The log grows with a burst of writes; once it is back in the file, it is cut to this. */
const MAX_IDLE_LOG_BYTES = 16 << 20

function open(): DatabaseSync {
  if (file !== ':memory:') {
    makePrivateFile(file)
    // SQLite makes these like the file itself; those of an earlier version may be there.
    for (const suffix of ['-wal', '-shm']) closeToOthers(file + suffix)
  }
  const db = new DatabaseSync(file, { timeout: busyTimeoutMs })
  try {
    checkWhole(db, file)
    // Before the log is turned on, which writes the first page: from then on a file keeps the kind of vacuum it has.
    if (pragma(db, 'page_count') === 0) db.exec('PRAGMA auto_vacuum = INCREMENTAL')
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ${MAX_IDLE_LOG_BYTES}`)
    db.exec(`PRAGMA synchronous = ${SYNCHRONOUS[durability]}`)
    // What is deleted or replaced is written over, or texts that were taken back would stay in the file's free places.
    db.exec('PRAGMA secure_delete = ON')
    migrate(db)
    if (pragma(db, 'auto_vacuum') !== INCREMENTAL) rewrite(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

const INCREMENTAL = 2

/** A file of an earlier version cannot give back its free pages until it has been written anew, once. */
function rewrite(db: DatabaseSync): void {
  try {
    db.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM')
  } catch (error) {
    // It needs as much room again; without it the file works as before, and the next start tries again.
    if (asDatabaseError(error, file).code !== 'ERR_DATABASE_FULL') throw error
  }
}

function pragma(db: DatabaseSync, name: 'page_count' | 'auto_vacuum'): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
}

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    db.exec('CREATE TABLE IF NOT EXISTS schema_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT')
    for (const { part, migrations } of schemas) {
      for (const step of migrations.slice(schemaVersion(db, file, { part, migrations }))) db.exec(step)
      db.prepare('INSERT OR REPLACE INTO schema_version VALUES (?, ?)').run(part, migrations.length)
    }
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

/** Errors lose their code on the way to another thread. */
function told(error: unknown): { code: DatabaseErrorCode; message: string } {
  const { code, message } = asDatabaseError(error, file)
  return { code, message }
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

type Write = Extract<WorkerRequest, { kind: 'write' }>

function run(db: DatabaseSync, sql: string): void {
  prepare(db, sql).run()
}

function readRows(db: DatabaseSync, request: Exclude<WorkerRequest, Write>): WorkerReply {
  try {
    return { id: request.id, rows: prepare(db, request.sql).all(...request.params) as SqlRow[] }
  } catch (error) {
    return { id: request.id, error: told(error) }
  }
}

/** @throws when the whole transaction is lost */
function writeAmongOthers(db: DatabaseSync, { id, statements }: Write): WorkerReply {
  run(db, 'SAVEPOINT one')
  try {
    const changes = statements.map(({ sql, params = [] }) => Number(prepare(db, sql).run(...params).changes))
    run(db, 'RELEASE one')
    return { id, changes }
  } catch (error) {
    if (!db.isTransaction) throw error
    run(db, 'ROLLBACK TO one')
    run(db, 'RELEASE one')
    return { id, error: told(error) }
  }
}

/** Every write of the group is durable when this returns, or its reply says why not. */
function answerGroup(db: DatabaseSync, group: readonly WorkerRequest[]): WorkerReply[] {
  const failed = (error: unknown) =>
    group.map(request => (request.kind === 'write' ? { id: request.id, error: told(error) } : readRows(db, request)))
  if (group.every(request => request.kind !== 'write')) return failed(undefined)
  try {
    run(db, 'BEGIN IMMEDIATE')
  } catch (error) {
    return failed(error)
  }
  try {
    const replies = group.map(request =>
      request.kind === 'write' ? writeAmongOthers(db, request) : readRows(db, request),
    )
    run(db, 'COMMIT')
    return replies
  } catch (error) {
    if (db.isTransaction) run(db, 'ROLLBACK')
    // One that does not fit on the disk must not take the others with it.
    return group.length === 1 ? failed(error) : group.flatMap(request => answerGroup(db, [request]))
  }
}

const port = parentPort
if (!port) throw new Error('database-worker.ts runs as a worker only')
try {
  const db = open()
  port.on('message', (first: WorkerRequest | 'close') => {
    const group: WorkerRequest[] = []
    let next: WorkerRequest | 'close' | undefined = first
    while (next !== undefined && next !== 'close') {
      group.push(next)
      next = group.length < MAX_GROUP ? receiveMessageOnPort(port)?.message : undefined
    }
    if (group.length > 0) port.postMessage(answerGroup(db, group))
    if (next === 'close') {
      db.close()
      port.close()
    }
  })
  port.postMessage([{ id: OPENED, rows: [] }] satisfies WorkerReply[])
} catch (error) {
  port.postMessage([{ id: OPENED, error: told(error) }] satisfies WorkerReply[])
}
