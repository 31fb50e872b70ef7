import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Database, type DatabaseOptions, openDatabase, type Schema } from '../../router/store/database.ts'
import { temporaryFolder } from '../support/router-support.ts'

const notes: Schema = { part: 'notes', migrations: ['CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT'] }
const INSERT = 'INSERT INTO notes (text) VALUES (?)'

function openNotes(file: string, options: Partial<DatabaseOptions> = {}): Promise<Database> {
  return openDatabase({ file, schemas: [notes], ...options })
}

/** Opens and closes, so that a file that opens against expectation leaves no worker behind. */
async function tryToOpen(file: string, options: Partial<DatabaseOptions> = {}): Promise<void> {
  const database = await openNotes(file, options)
  await database[Symbol.asyncDispose]()
}

async function texts(database: Database): Promise<unknown[]> {
  return (await database.all('SELECT text FROM notes ORDER BY id')).map(row => row.text)
}

describe('a database', () => {
  it('runs statements together or not at all', async () => {
    await using database = await openNotes(':memory:')
    const two = [
      { sql: INSERT, params: ['a'] },
      { sql: INSERT, params: ['b'] },
    ]
    assert.deepEqual(await database.write(two), [1, 1])
    assert.deepEqual(await database.write([{ sql: 'UPDATE notes SET text = text' }]), [2])
    const flawed = [{ sql: INSERT, params: ['c'] }, { sql: 'INSERT INTO notes (id) VALUES (1)' }]
    await assert.rejects(database.write(flawed), { code: 'ERR_DATABASE_FAILED', message: /UNIQUE/ })
    await assert.rejects(database.all('SELECT nonsense'), { code: 'ERR_DATABASE_FAILED', message: /nonsense/ })
    assert.deepEqual(await texts(database), ['a', 'b'])
  })

  it('refuses calls beyond its queue, and goes on when there is room', async () => {
    await using database = await openNotes(':memory:', { maxQueue: 2 })
    const insert = (text: string) => database.write([{ sql: INSERT, params: [text] }])
    const [first, second, third] = await Promise.allSettled([insert('a'), insert('b'), insert('c')])
    assert.equal(first?.status, 'fulfilled')
    assert.equal(second?.status, 'fulfilled')
    assert.ok(third?.status === 'rejected')
    assert.equal(third.reason.code, 'ERR_DATABASE_BUSY')
    await insert('d')
    assert.deepEqual(await texts(database), ['a', 'b', 'd'])
  })

  it('does what was asked before it closes, and nothing after', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const database = await openNotes(file)
    const asked = Array.from({ length: 100 }, (_, index) => database.write([{ sql: INSERT, params: [`${index}`] }]))
    await Promise.all([database[Symbol.asyncDispose](), database[Symbol.asyncDispose]()])
    assert.equal((await Promise.all(asked)).length, 100)
    await assert.rejects(database.all('SELECT 1'), { code: 'ERR_DATABASE_CLOSED' })
    await database[Symbol.asyncDispose]()
    await using again = await openNotes(file)
    assert.equal((await texts(again)).length, 100)
  })

  it('says which file it cannot open', async () => {
    const file = '/nowhere/at/all/qis.db'
    await assert.rejects(tryToOpen(file), { code: 'ERR_DATABASE_FAILED', message: /^\/nowhere\/at\/all\/qis\.db/ })
  })

  it('tells when the disk is full, and stays readable', async () => {
    await using database = await openNotes(':memory:')
    await database.all('PRAGMA max_page_count = 10')
    const insert = () => database.write([{ sql: INSERT, params: ['x'.repeat(5_000)] }])
    await assert.rejects(
      async () => {
        for (let count = 0; count < 20; count++) await insert()
      },
      { code: 'ERR_DATABASE_FULL' },
    )
    assert.ok((await texts(database)).length > 0)
  })
})

describe('writes that wait together', () => {
  const insert = (text: string) => [{ sql: INSERT, params: [text] }]

  it('are kept in the order they were asked for', async () => {
    await using database = await openNotes(':memory:')
    const order = Array.from({ length: 1_000 }, (_, index) => `${index}`)
    await Promise.all(order.map(text => database.write(insert(text))))
    assert.deepEqual(await texts(database), order)
  })

  it('cost far fewer commits than there are', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await using database = await openNotes(file)
    const frames = async () => (await stat(`${file}-wal`)).size
    const cost = async (work: () => Promise<unknown>) => {
      const begun = await frames()
      await work()
      return (await frames()) - begun
    }
    const alone = await cost(async () => {
      for (let count = 0; count < 50; count++) await database.write(insert('alone'))
    })
    // How many meet in a group depends on the machine; one commit for each would cost as much as alone every time. Ten
    // times, because a log of 4 MB begins anew and would seem to cost nothing.
    for (let attempt = 0; attempt < 10; attempt++) {
      const together = await cost(() =>
        Promise.all(Array.from({ length: 50 }, () => database.write(insert('together')))),
      )
      if (together * 2 < alone) return
    }
    assert.fail(`50 together never cost less than half of ${alone} bytes of log`)
  })

  it('see what was asked before them, and only the one at fault fails', async () => {
    await using database = await openNotes(':memory:')
    const results = await Promise.allSettled([
      database.write(insert('a')),
      database.all('SELECT count(*) AS n FROM notes'),
      database.write([...insert('b'), { sql: 'INSERT INTO notes (id) VALUES (1)' }]),
      database.write(insert('c')),
      database.all('SELECT nonsense'),
      database.all('SELECT count(*) AS n FROM notes'),
    ])
    const seen = results.map(result => (result.status === 'fulfilled' ? result.value : result.reason.code))
    assert.deepEqual(JSON.parse(JSON.stringify(seen)), [
      [1],
      [{ n: 1 }],
      'ERR_DATABASE_FAILED',
      [1],
      'ERR_DATABASE_FAILED',
      [{ n: 2 }],
    ])
    assert.deepEqual(await texts(database), ['a', 'c'])
  })

  it('do not fail together when one of them is too large for the disk', async () => {
    await using database = await openNotes(':memory:')
    await database.all('PRAGMA max_page_count = 10')
    const sizes = [10, 100_000, 20]
    const results = await Promise.allSettled(sizes.map(size => database.write(insert('x'.repeat(size)))))
    assert.deepEqual(
      results.map(result => (result.status === 'rejected' ? result.reason.code : 'kept')),
      ['kept', 'ERR_DATABASE_FULL', 'kept'],
    )
    assert.deepEqual(
      (await texts(database)).map(text => String(text).length),
      [10, 20],
    )
  })
})

describe('the durability of a database', () => {
  it('is against a crash of the process, or against a power cut too', async () => {
    await using folder = await temporaryFolder()
    const synchronous = async (options: Partial<DatabaseOptions>) => {
      await using database = await openNotes(folder.path('qis.db'), options)
      const [row] = await database.all('PRAGMA synchronous')
      assert.equal((await database.all('PRAGMA journal_mode'))[0]?.journal_mode, 'wal')
      return row?.synchronous
    }
    // https://sqlite.org/pragma.html#pragma_synchronous: 1 NORMAL, 2 FULL
    assert.equal(await synchronous({}), 1)
    assert.equal(await synchronous({ durability: 'process' }), 1)
    assert.equal(await synchronous({ durability: 'power' }), 2)
  })
})

describe('a file that has room again', () => {
  const LARGE = 'x'.repeat(100_000)
  const fill = (database: Database) =>
    database.write(Array.from({ length: 50 }, () => ({ sql: INSERT, params: [LARGE] })))
  const reclaim = async (database: Database) => {
    await database.write([{ sql: 'DELETE FROM notes' }])
    await database.all('PRAGMA incremental_vacuum(10000)')
    await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  it('gives it back to the file system', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await using database = await openNotes(file)
    await fill(database)
    await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
    const full = (await stat(file)).size
    await reclaim(database)
    assert.ok(full > 5_000_000 && (await stat(file)).size < 100_000, `${full} bytes, then ${(await stat(file)).size}`)
  })

  it('gives it back as well when an earlier version made it, which could not', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const earlier = new DatabaseSync(file)
    earlier.exec(`PRAGMA journal_mode = WAL; ${notes.migrations[0]}`)
    earlier.exec('CREATE TABLE schema_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT')
    earlier.exec("INSERT INTO schema_version VALUES ('notes', 1); INSERT INTO notes (text) VALUES ('kept')")
    assert.equal(earlier.prepare('PRAGMA auto_vacuum').get()?.auto_vacuum, 0)
    earlier.close()
    await using database = await openNotes(file)
    assert.deepEqual(await texts(database), ['kept'])
    await fill(database)
    await reclaim(database)
    assert.ok((await stat(file)).size < 100_000)
  })
})

describe('a file that is no database of ours', () => {
  it('is refused by name, its bytes untouched: noise', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    for (const bytes of [randomBytes(8192), Buffer.from('a note to myself\n'.repeat(20))]) {
      await writeFile(file, bytes)
      await assertCorrupt(file)
    }
  })

  it('is refused by name, its bytes untouched: a database with a damaged page', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    {
      await using database = await openNotes(file)
      await database.write(Array.from({ length: 200 }, () => ({ sql: INSERT, params: ['x'.repeat(200)] })))
    }
    const { size } = await stat(file)
    assert.ok(size > 4096 * 8)
    const handle = await open(file, 'r+')
    await handle.write(randomBytes(4096), 0, 4096, 4096 * 5)
    await handle.close()
    await assertCorrupt(file)
  })

  it('is refused by name, its bytes untouched: a database cut short', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    {
      await using database = await openNotes(file)
      await database.write(Array.from({ length: 200 }, () => ({ sql: INSERT, params: ['x'.repeat(200)] })))
    }
    await writeFile(file, (await readFile(file)).subarray(0, 4096 * 4))
    await assertCorrupt(file)
  })

  it('is refused, its bytes untouched, when a newer version wrote it', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const newer: Schema = { part: 'notes', migrations: [...notes.migrations, 'ALTER TABLE notes ADD author TEXT'] }
    await tryToOpen(file, { schemas: [newer] })
    const before = await digest(file)
    await assert.rejects(tryToOpen(file), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_DATABASE_NEWER')
      assert.ok(error.message.startsWith(`${file} was written by a newer`), error.message)
      return true
    })
    assert.equal(await digest(file), before)
    await tryToOpen(file, { schemas: [newer] })
  })
})

describe('a schema', () => {
  const second = "ALTER TABLE notes ADD author TEXT NOT NULL DEFAULT 'anon'"

  it('is brought up to date, each step once, and keeps what is there', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    {
      await using database = await openNotes(file)
      await database.write([{ sql: INSERT, params: ['kept'] }])
    }
    const schemas = [{ part: 'notes', migrations: [...notes.migrations, second] }]
    for (let start = 0; start < 2; start++) {
      await using database = await openNotes(file, { schemas })
      assert.deepEqual(
        { ...(await database.all('SELECT text, author FROM notes'))[0] },
        { text: 'kept', author: 'anon' },
      )
    }
  })

  it('is left at the old version when a step fails', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await tryToOpen(file)
    const schemas = [{ part: 'notes', migrations: [...notes.migrations, second, 'ALTER TABLE nowhere ADD x'] }]
    await assert.rejects(tryToOpen(file, { schemas }), { code: 'ERR_DATABASE_FAILED', message: /nowhere/ })
    await using database = await openNotes(file)
    await assert.rejects(database.all('SELECT author FROM notes'), { code: 'ERR_DATABASE_FAILED' })
  })

  it('has its own version beside those of other parts', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await tryToOpen(file)
    const other: Schema = { part: 'other', migrations: ['CREATE TABLE other (id INTEGER PRIMARY KEY) STRICT'] }
    await using database = await openNotes(file, { schemas: [notes, other] })
    await database.write([{ sql: INSERT, params: ['a'] }, { sql: 'INSERT INTO other VALUES (1)' }])
  })
})

describe('a database that another process has locked', () => {
  it('refuses a write after its time-out, while this thread goes on with other work', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await using database = await openNotes(file, { busyTimeoutMs: 1_000 })
    const other = new DatabaseSync(file)
    other.exec('BEGIN EXCLUSIVE')
    const began = performance.now()
    let waiting = true
    const refused = assert
      .rejects(database.write([{ sql: INSERT, params: ['late'] }]), {
        code: 'ERR_DATABASE_LOCKED',
        message: `${file} is locked by another process`,
      })
      .finally(() => {
        waiting = false
      })
    let longestMs = 0
    for (let last = performance.now(); waiting; ) {
      await nextTurn()
      const now = performance.now()
      longestMs = Math.max(longestMs, now - last)
      last = now
    }
    await refused
    const tookMs = performance.now() - began
    assert.ok(tookMs > 900 && tookMs < 10_000, `it took ${tookMs} ms`)
    assert.ok(longestMs < 500, `this thread stood still for ${longestMs} ms`)

    other.exec('ROLLBACK')
    other.close()
    await database.write([{ sql: INSERT, params: ['in time'] }])
    assert.deepEqual(await texts(database), ['in time'])
  })

  it('is not opened', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const other = new DatabaseSync(file)
    other.exec('BEGIN EXCLUSIVE; CREATE TABLE theirs (id INTEGER)')
    await assert.rejects(tryToOpen(file, { busyTimeoutMs: 50 }), { code: 'ERR_DATABASE_LOCKED' })
    other.close()
  })
})

describe('a process that is killed', () => {
  it('has kept every write that was acknowledged', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const module = new URL('../../router/store/database.ts', import.meta.url)
    const script = `
      import { openDatabase } from ${JSON.stringify(module)}
      const database = await openDatabase(${JSON.stringify({ file, schemas: [notes] })})
      for (let count = 0; ; count++) {
        await database.write([{ sql: ${JSON.stringify(INSERT)}, params: [String(count)] }])
        console.log(count)
      }`
    await writeFile(folder.path('writer.mjs'), script)
    const child = spawn(process.execPath, [folder.path('writer.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8')
    for await (const chunk of child.stdout) {
      output += chunk
      if (output.includes('20\n')) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    assert.equal(child.signalCode, 'SIGKILL')
    const acknowledged = output.split('\n').slice(0, -1)
    await using database = await openNotes(file)
    const kept = await texts(database)
    assert.ok(acknowledged.length > 20)
    assert.deepEqual(kept.slice(0, acknowledged.length), acknowledged)
  })
})

async function assertCorrupt(file: string): Promise<void> {
  const before = await digest(file)
  await assert.rejects(tryToOpen(file), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_DATABASE_CORRUPT')
    assert.ok(error.message.startsWith(`${file} is `), error.message)
    assert.match(error.message, /nothing was changed$/)
    return true
  })
  assert.equal(await digest(file), before)
}

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}
