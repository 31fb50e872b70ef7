/** More feedback than a database that stands still can take: what is refused is told so, what was acknowledged stays. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { answering, ask } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

/** What one request may bring; eleven of them are more than may wait. */
const BATCH = 1_000
const MOST = 40

/** Rates one answer, and says so again until the batch is full. */
async function rate(site: TestSidecar, requestId: string) {
  const piece = { request_id: requestId, rating: 'down' }
  const response = await postFeedback(site.data, Array(BATCH).fill(piece))
  const said = (await response.json()) as { results?: { status: string }[]; error?: { code: string; message: string } }
  return { requestId, status: response.status, retryAfter: response.headers.get('retry-after'), ...said }
}

test('a saturated feedback endpoint says 503 and when to come again, loses nothing it took, and recovers', async () => {
  await using upstream = await answering()
  await using site = await startTestSidecar(upstream.url)
  const ids: string[] = []
  for (let at = 0; at < MOST; at++) ids.push((await ask(site, `Question number ${at}?`)).requestId)
  const [spare = '', ...others] = ids

  const file = join(site.dataDir, 'qis.db')
  using another = new DatabaseSync(file)
  another.exec('BEGIN IMMEDIATE')
  const answers: Awaited<ReturnType<typeof rate>>[] = []
  const isFull = () => answers.some(({ error }) => error?.message.includes('ERR_DATABASE_BUSY'))
  const asked: Promise<unknown>[] = []
  await until('the queue to be full', async () => {
    const id = isFull() ? undefined : others.shift()
    if (id !== undefined) asked.push(rate(site, id).then(answer => answers.push(answer)))
    return isFull()
  })
  assert.equal((await ask(site)).requestId.startsWith('qis-'), true, 'requests pass meanwhile')
  another.exec('ROLLBACK')
  await Promise.all(asked)

  using reader = new DatabaseSync(file, { readOnly: true })
  const kept = new Set(
    reader
      .prepare('SELECT request_id FROM feedback')
      .all()
      .map(({ request_id }) => request_id),
  )
  const taken = answers.filter(({ status }) => status === 207)
  for (const { requestId, results } of taken) {
    assert.equal(results?.length, BATCH)
    assert.equal(results[0]?.status, 'accepted')
    assert.ok(kept.has(requestId), 'what was acknowledged is there')
  }
  assert.equal(kept.size, taken.length, 'and nothing else is')
  const refused = answers.filter(({ status }) => status !== 207)
  assert.ok(taken.length > 0 && refused.length > 0, `${taken.length} were taken, ${refused.length} refused`)
  for (const { status, retryAfter, error } of refused) {
    assert.deepEqual([status, error?.code], [503, 'storage_unavailable'])
    assert.ok(Number(retryAfter) >= 1, `${retryAfter}`)
  }

  for (const requestId of [spare, refused[0]?.requestId ?? '']) {
    const { status, results } = await rate(site, requestId)
    assert.deepEqual([status, results?.[0]?.status, results?.[1]?.status], [207, 'accepted', 'duplicate'])
  }
})
