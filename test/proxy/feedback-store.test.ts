import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import {
  createFeedbackStore,
  type FeedbackStoreOptions,
  feedbackSchema,
  type StoredFeedback,
} from '../../proxy/feedback/store.ts'
import { openDatabase } from '../../router/store/database.ts'
import { tempFolder } from '../support/temp-folder.ts'

const NOW = 1_760_000_000

function piece(id: number, more: Partial<StoredFeedback> = {}): StoredFeedback {
  const said = { rating: 'up' } as const
  return {
    id: `fb-${String(id).padStart(6, '0')}`,
    requestId: `qis-${id}`,
    source: 'user',
    said,
    state: 'kept',
    history: [{ at: NOW, status: 'accepted', said }],
    createdAt: NOW + id,
    updatedAt: NOW + id,
    ...more,
  }
}

async function opened(options: FeedbackStoreOptions = {}) {
  const folder = await tempFolder()
  const database = await openDatabase({ file: join(folder.path, 'f.db'), schemas: [feedbackSchema] })
  const store = createFeedbackStore(database, options)
  const put = (pieces: StoredFeedback[], now = NOW) => store.write({ put: pieces, drop: [], replays: [] }, now)
  return {
    store,
    put,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

suite('the feedback store', () => {
  test('gives up what has waited too long, and nothing else', async () => {
    await using held = await opened()
    await held.put([piece(1, { state: 'pending' }), piece(2, { state: 'pending' }), piece(3)])
    assert.equal((await held.store.pending(10)).length, 2)
    assert.equal(await held.store.expirePending(NOW + 2), 1)
    const { entries } = await held.store.list({ limit: 10 })
    assert.deepEqual(
      entries.map(({ state }) => state),
      ['kept', 'pending', 'expired'],
    )
  })

  test('is bounded in rows and in time', async () => {
    await using held = await opened({ maxRows: 3, lifetimeS: 100 })
    for (let id = 1; id <= 5; id++) await held.put([piece(id)])
    const ids = async () => (await held.store.list({ limit: 10 })).entries.map(({ createdAt }) => createdAt - NOW)
    assert.deepEqual(await ids(), [5, 4, 3])
    await held.put([piece(6, { updatedAt: NOW + 105 })], NOW + 105)
    assert.deepEqual(await ids(), [6, 5])
  })

  test('forgets what was answered to whom, by number and by age', async () => {
    await using held = await opened({ maxReplays: 2, replayLifetimeS: 10 })
    const result = { feedback_id: 'fb-1', status: 'accepted' } as const
    const write = (key: string, now: number) =>
      held.store.write({ put: [], drop: [], replays: [{ key, body: 'b', result }] }, now)
    for (const key of ['a', 'b', 'c']) await write(key, NOW)
    assert.deepEqual([...(await held.store.replays(['a', 'b', 'c'])).keys()].sort(), ['b', 'c'])
    await write('d', NOW + 11)
    assert.deepEqual(
      [...(await held.store.replays(['a', 'b', 'c', 'd'])).entries()],
      [['d', { key: 'd', body: 'b', result }]],
    )
  })

  test('looks at a bounded number of rows for a page, and finds the rare one all the same', async () => {
    await using held = await opened()
    const many = Array.from({ length: 25_000 }, (_, id) => piece(id, id === 3 ? { source: 'app' } : {}))
    await held.put(many)
    let pages = 0
    const found: string[] = []
    let page = await held.store.list({ source: 'app', limit: 10 })
    for (;;) {
      pages++
      found.push(...page.entries.map(({ id }) => id))
      if (!page.next) break
      page = await held.store.list({ source: 'app', limit: 10, cursor: page.next })
    }
    assert.deepEqual(found, ['fb-000003'])
    assert.equal(pages, 3)
  })

  test('opens what its first version has written', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'old.db')
    const first = await openDatabase({
      file,
      schemas: [{ ...feedbackSchema, migrations: feedbackSchema.migrations.slice(0, 1) }],
    })
    const row = (id: string, said: object) => {
      const text = JSON.stringify({ id, requestId: `qis-${id}`, source: 'user', said, createdAt: NOW, updatedAt: NOW })
      return { sql: 'INSERT INTO feedback VALUES (?, ?, ?, ?, ?)', params: [id, `qis-${id}`, 'user', text, NOW] }
    }
    await first.write([
      row('a', { rating: null }),
      row('b', { rating: 'down', score: 0.75 }),
      row('c', { correction: { type: 'other' } }),
    ])
    await first[Symbol.asyncDispose]()
    await using database = await openDatabase({ file, schemas: [feedbackSchema] })
    const store = createFeedbackStore(database)
    const found = async (rating: string) => (await store.list({ rating, limit: 10 })).entries.map(({ id }) => id)
    assert.deepEqual([await found('revoked'), await found('up'), await found('down')], [['a'], ['b'], ['c']])
    assert.deepEqual((await store.byId(['a']))[0]?.history, [])
    using plain = new DatabaseSync(file)
    assert.equal(plain.prepare('SELECT count(*) AS n FROM feedback').get()?.n, 3)
  })
})
