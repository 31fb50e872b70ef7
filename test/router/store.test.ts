import assert from 'node:assert/strict'
import { it } from 'node:test'
import { routingKey } from '../../router/keyspace.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import { testStore } from '../contracts/store.ts'
import { anOutcome, aPacket, NOW, temporaryFolder } from '../support/router-support.ts'

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

it('SQLite in a file is found again as it was left', async () => {
  await using folder = await temporaryFolder()
  const file = folder.path('qis.db')
  const key = routingKey('0123abcd', 'general', 0xa9)
  {
    await using database = await openDatabase({ file, schemas: [routerSchema] })
    const store = createSqliteStore(database)
    await store.putOutcome(anOutcome(), NOW + 3600, { key, packet: aPacket(), dueAt: NOW })
  }
  await using database = await openDatabase({ file, schemas: [routerSchema] })
  const store = createSqliteStore(database)
  assert.deepEqual(await store.outcomes(NOW, 10), [anOutcome()])
  assert.deepEqual(await store.due(NOW, 10), [{ key, packet: aPacket(), dueAt: NOW }])
})
