import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { routingKey } from '../../router/keyspace.ts'
import { encodePayload, sealPacket } from '../../router/packet.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import { testStore } from '../contracts/store.ts'
import { anOutcome, aPacket, keyOf, NOW, temporaryFolder } from '../support/router-support.ts'

testStore('SQLite in memory', async () => {
  const database = await openDatabase({ file: ':memory:', schemas: [routerSchema] })
  return { store: createSqliteStore(database), [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
})

testStore('SQLite in a file', async () => {
  const stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder())
  const database = stack.use(await openDatabase({ file: folder.path('qis.db'), schemas: [routerSchema] }))
  return { store: createSqliteStore(database), [Symbol.asyncDispose]: () => stack.disposeAsync() }
})

/** A full store of each kind: what is in it, oldest first, when there is room for three of a kind. */
async function crowded(): Promise<Record<string, unknown[]>> {
  await using database = await openDatabase({ file: ':memory:', schemas: [routerSchema] })
  const store = createSqliteStore(database, { outcomes: 3, packets: 3, outbox: 3, ledger: 3 })
  const key = routingKey('0123abcd', 'general', 0xa9)
  for (let count = 0; count < 10; count++) {
    const answer = count.toString(16).padStart(16, '0')
    const packet = aPacket({ answer })
    const privateKey = await keyOf(1)
    const stored = { key, author: 'a', packet, bytes: await sealPacket(packet, privateKey) }
    await store.putOutcome(anOutcome({ answer, time: NOW + count }), NOW + 1e6, {
      key,
      packet,
      requestId: '',
      dueAt: NOW + count,
    })
    await store.putPacket(stored)
    await store.departed({ ...stored, author: 'b' }, NOW + count, '')
  }
  const last = (items: { answer: string }[]) => items.map(({ answer }) => answer.at(-1))
  return {
    outcomes: last(await store.outcomes(NOW, 10)),
    packets: (await Array.fromAsync(store.packets(NOW, 10))).map(({ packet }) => packet.answer.at(-1)),
    outbox: last((await store.due(NOW + 99, 10)).map(({ packet }) => packet)),
    ledger: (await store.ledger({ offset: 0, limit: 10 })).map(({ leftAt }) => String(leftAt - NOW)).toReversed(),
  }
}

it('every table has a bound, and the oldest rows make room', async () => {
  assert.deepEqual(await crowded(), {
    outcomes: ['7', '8', '9'],
    // Every answer comes twice here, from two authors.
    packets: ['8', '9', '9'],
    outbox: ['7', '8', '9'],
    ledger: ['7', '8', '9'],
  })
})

it('a sweep deletes everything that has expired, however much, and gives the room back', async () => {
  await using folder = await temporaryFolder()
  const file = folder.path('qis.db')
  await using database = await openDatabase({ file, schemas: [routerSchema] })
  const store = createSqliteStore(database)
  const key = routingKey('0123abcd', 'general', 0xa9)
  const bytes = await sealPacket(aPacket(), await keyOf(1))
  const named = (count: number) => count.toString(16).padStart(16, '0')
  const put = (count: number) =>
    store.departed({ key, author: 'a', packet: aPacket({ answer: named(count) }), bytes }, NOW, '')
  await Promise.all(Array.from({ length: 5_000 }, (_, count) => put(count)))
  await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
  const full = (await stat(file)).size
  const count = async (table: string) => (await database.all(`SELECT count(*) AS n FROM ${table}`))[0]?.n
  await store.sweep(NOW + 168 * 3600)
  assert.deepEqual([await count('packets'), await count('ledger')], [0, 5_000])
  await store.sweep(NOW + 400 * 24 * 3600)
  assert.equal(await count('ledger'), 0)
  await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
  const emptied = (await stat(file)).size
  assert.ok(emptied * 10 < full, `${full} bytes before, ${emptied} after`)
})

it('a store of the first version is opened, and all that is in it found', async () => {
  await using folder = await temporaryFolder()
  const file = folder.path('qis.db')
  const first = new DatabaseSync(file)
  first.exec(await readFile(new URL('../fixtures/database-v1.sql', import.meta.url), 'utf8'))
  const key = routingKey('0123abcd', 'general', 0xa9)
  const bytes = await sealPacket(aPacket(), await keyOf(1))
  const { answer } = aPacket()
  first.prepare('INSERT INTO outcomes VALUES (?, ?, ?, ?)').run(answer, JSON.stringify(anOutcome()), NOW, NOW + 3600)
  first.prepare('INSERT INTO outbox VALUES (?, ?, ?, ?)').run(answer, key, encodePayload(aPacket()), NOW)
  first
    .prepare('INSERT INTO packets VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run('a', answer, 0, key, NOW, NOW + 168 * 3600, bytes)
  first.prepare('INSERT INTO ledger VALUES (1, ?, ?, ?, ?, ?, ?)').run(answer, 0, key, bytes, NOW, 2)
  first.close()

  await using database = await openDatabase({ file, schemas: [routerSchema] })
  const [version] = await database.all("SELECT version FROM schema_version WHERE part = 'router'")
  assert.equal(version?.version, routerSchema.migrations.length)
  const store = createSqliteStore(database)
  assert.deepEqual(await store.outcome(answer), anOutcome())
  assert.deepEqual(await store.due(NOW, 10), [{ key, packet: aPacket(), requestId: '', dueAt: NOW }])
  assert.equal((await Array.fromAsync(store.packets(NOW, 10))).length, 1)
  assert.equal((await store.ledger({ offset: 0, limit: 10 }))[0]?.recipients, 2)
  await store.sweep(NOW + 168 * 3600 - 1)
  assert.equal((await store.due(NOW, 10)).length, 1)
  await store.sweep(NOW + 168 * 3600)
  assert.equal((await store.due(NOW, 10)).length, 0, 'the packet in the outbox kept its expiry')
})

it('SQLite in a file is found again as it was left', async () => {
  await using folder = await temporaryFolder()
  const file = folder.path('qis.db')
  const key = routingKey('0123abcd', 'general', 0xa9)
  {
    await using database = await openDatabase({ file, schemas: [routerSchema] })
    const store = createSqliteStore(database)
    await store.putOutcome(anOutcome(), NOW + 3600, { key, packet: aPacket(), requestId: '', dueAt: NOW })
  }
  await using database = await openDatabase({ file, schemas: [routerSchema] })
  const store = createSqliteStore(database)
  assert.deepEqual(await store.outcomes(NOW, 10), [anOutcome()])
  assert.deepEqual(await store.due(NOW, 10), [{ key, packet: aPacket(), requestId: '', dueAt: NOW }])
})
