import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { answering, ask, taken } from '../support/asking.ts'
import { postFeedback, startTestSidecar } from '../support/sidecar.ts'

test('a text that was taken back is written over', async () => {
  await using upstream = await answering()
  await using sidecar = await startTestSidecar(upstream.url, { QIS_KEEP_CORRECTIONS: 'on' })
  const files = async () => {
    const names = (await readdir(sidecar.dataDir)).filter(name => name.startsWith('qis.db'))
    return Buffer.concat(await Promise.all(names.map(name => readFile(join(sidecar.dataDir, name)))))
  }
  const ids: string[] = []
  for (let at = 0; at < 20; at++) {
    const { requestId } = await ask(sidecar)
    const words = { comment: `regretted-words-${at} ${'x'.repeat(at * 700)}`, correction: `regretted-words-${at}` }
    ids.push(
      (await taken(await postFeedback(sidecar.data, { request_id: requestId, rating: 'down', ...words }))).feedback_id,
    )
  }
  assert.ok((await files()).includes('regretted-words'))
  for (const id of ids) {
    assert.equal((await fetch(`${sidecar.admin}/qis/feedback/${id}`, { method: 'DELETE' })).status, 200)
  }
  await sidecar.sidecar[Symbol.asyncDispose]()
  assert.ok((await files()).includes(ids[0] ?? ''))
  assert.ok(!(await files()).includes('regretted-words'))
})
