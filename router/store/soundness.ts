/** Whether a database file is whole and of a version that is known here; and what SQLite's complaints mean to us. */
import { DatabaseSync } from 'node:sqlite'
import { DatabaseError, type Schema } from './database.ts'

/** SQLite's primary result codes, https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

const RESTORE = 'restore a backup, or move the file away to start with an empty one; nothing was changed'

/** @throws {DatabaseError} ERR_DATABASE_CORRUPT, or what SQLite throws of a file that is none */
export function checkWhole(db: DatabaseSync, file: string): void {
  const verdict = db.prepare('PRAGMA quick_check(1)').get()
  if (verdict?.quick_check !== 'ok') {
    throw new DatabaseError('ERR_DATABASE_CORRUPT', `${file} is damaged (${verdict?.quick_check}): ${RESTORE}`)
  }
}

/**
 * How many of a part's migrations the file has seen.
 *
 * @throws {DatabaseError} ERR_DATABASE_NEWER when it has seen more than there are
 */
export function schemaVersion(db: DatabaseSync, file: string, { part, migrations }: Schema): number {
  const row = db.prepare('SELECT version FROM schema_version WHERE part = ?').get(part)
  const version = Number(row?.version ?? 0)
  if (version <= migrations.length) return version
  throw new DatabaseError(
    'ERR_DATABASE_NEWER',
    `${file} was written by a newer qis-sidecar (${part} ${version}, known here: ${migrations.length}): upgrade, or restore an older backup; nothing was changed`,
  )
}

/**
 * Looks at a file that a sidecar may be using, and leaves it as it is.
 *
 * @throws {DatabaseError} as opening it would
 */
export function inspectDatabase(file: string, schemas: readonly Schema[]): void {
  try {
    using database = new DatabaseSync(file, { readOnly: true })
    checkWhole(database, file)
    const begun = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").get() !== undefined
    for (const schema of begun ? schemas : []) schemaVersion(database, file, schema)
  } catch (cause) {
    throw asDatabaseError(cause, file)
  }
}

/** One of ours as it is, SQLite's by its code. */
export function asDatabaseError(error: unknown, file: string): DatabaseError {
  if (error instanceof DatabaseError) return error
  const message = error instanceof Error ? error.message : String(error)
  const errcode = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  const made = (code: DatabaseError['code'], text: string) => new DatabaseError(code, text, { cause: error })
  switch (errcode) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return made('ERR_DATABASE_CORRUPT', `${file} is not a readable database (${message}): ${RESTORE}`)
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return made('ERR_DATABASE_LOCKED', `${file} is locked by another process`)
    case SQLITE_FULL:
      return made('ERR_DATABASE_FULL', `the disk of ${file} is full`)
    default:
      return made('ERR_DATABASE_FAILED', `${file}: ${message}`)
  }
}
