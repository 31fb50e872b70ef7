/** What another process may take from a database while the sidecar that owns it writes on: a copy, or its rows. */
import { rename, rm, stat } from 'node:fs/promises'
import { backup, DatabaseSync } from 'node:sqlite'
import { encodePayload, readKeptPacket } from '../packet.ts'
import { makePrivateFile } from '../private-file.ts'
import { DatabaseError } from './database.ts'

/** In one step: with more of them, every write of the sidecar in between would start the copy anew. */
const ALL_PAGES = 0x7fff_ffff

/**
 * Copies the database as it is at one moment into a new file, and checks the copy. Writers are not held up. The copy
 * appears under its name when it is whole.
 *
 * @returns its size in bytes
 * @throws {DatabaseError} and what the file system throws; no half copy is left
 */
export async function backUp(file: string, target: string, signal: AbortSignal): Promise<number> {
  if (await exists(target)) throw new DatabaseError('ERR_DATABASE_FAILED', `${target} exists, and is not overwritten`)
  const partial = `${target}.partial`
  await rm(partial, { force: true })
  try {
    makePrivateFile(partial)
    {
      using database = openToRead(file)
      signal.throwIfAborted()
      await backup(database, partial, { rate: ALL_PAGES })
    }
    signal.throwIfAborted()
    checkWhole(partial)
    await rename(partial, target)
    return (await stat(target)).size
  } catch (error) {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(partial + suffix, { force: true })
    throw error
  }
}

export type ExportedRow = { table: string } & Record<string, unknown>

/**
 * Every row of every table (or of those named), as it is at one moment: JSON columns parsed, other bytes in hex, packets
 * with what they say.
 *
 * @throws {DatabaseError} when there is no such file or table
 */
export function* exportRows(file: string, only: readonly string[] = []): Generator<ExportedRow, void> {
  using database = openToRead(file)
  database.exec('BEGIN')
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .all()
    .map(({ name }) => String(name))
  const unknown = only.find(name => !tables.includes(name))
  if (unknown !== undefined) {
    throw new DatabaseError('ERR_DATABASE_FAILED', `there is no table ${unknown}; there are ${tables.join(', ')}`)
  }
  for (const table of tables) {
    if (only.length > 0 && !only.includes(table)) continue
    // The name is one of the list above.
    for (const row of database.prepare(`SELECT * FROM "${table}"`).iterate()) yield { table, ...plain(row) }
  }
}

function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([column, value]): [string, unknown][] => {
      if (value instanceof Uint8Array) {
        return [[column, Buffer.from(value).toString('hex')], ...(column === 'bytes' ? contentsOf(value) : [])]
      }
      return [[column, typeof value === 'string' ? parsed(value) : value]]
    }),
  )
}

function parsed(text: string): unknown {
  if (!text.startsWith('{')) return text
  try {
    return JSON.parse(text)
  } catch {
    // Somebody's words, which begin like JSON.
    return text
  }
}

function contentsOf(bytes: Uint8Array): [string, unknown][] {
  const { packet, author } = readKeptPacket(bytes)
  return [
    ['author', author],
    ['payload', JSON.parse(encodePayload(packet))],
  ]
}

export function openToRead(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { readOnly: true })
  } catch (cause) {
    throw new DatabaseError(
      'ERR_DATABASE_FAILED',
      `${file} cannot be opened (${(cause as Error).message}); QIS_DATA names the folder of the database`,
      { cause },
    )
  }
}

function checkWhole(file: string): void {
  using database = new DatabaseSync(file)
  // Without a log beside it, the copy is one file.
  database.exec('PRAGMA journal_mode = DELETE')
  const verdict = database.prepare('PRAGMA integrity_check(1)').get()?.integrity_check
  if (verdict !== 'ok')
    throw new DatabaseError('ERR_DATABASE_CORRUPT', `the copy of the database is damaged: ${verdict}`)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
