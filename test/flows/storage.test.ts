/** What becomes of a whole sidecar when its storage is full, or of another version. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { chat, postFeedback } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { CHAT_BODY, startUpstream } from '../support/upstream.ts'

async function site() {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const upstream = parts.use(await startUpstream())
  const data = join(folder.path, 'data')
  await mkdir(data)
  const settings = { QIS_UPSTREAM: upstream.url, QIS_DATA: data, QIS_MODE: 'off' }
  return { data, settings, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** Runs what follows with a disk of its own in place of the folder; the caller keeps seeing the folder as it was. */
function onSmallDisk(folder: string): string[] {
  return ['unshare', '-rm', 'sh', '-c', 'mount -t tmpfs -o size=4m none "$0" && exec "$@"', folder]
}
const noDisks =
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status !== 0 &&
  'unshare cannot mount a disk here'

/** As the process sees it. */
function inside(pid: number | undefined, path: string): string {
  return `/proc/${pid}/root${path}`
}

/** Writes until there is no room left. */
async function fillUp(file: string): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (let block = 4096; block >= 1; ) {
      try {
        await handle.write(Buffer.alloc(block))
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
        block >>= 1
      }
    }
  } finally {
    await handle.close()
  }
}

suite('a disk that is full', () => {
  test('fails feedback with a code, and no proxied request; with room again, feedback is taken', {
    skip: noDisks,
  }, async () => {
    await using there = await site()
    await using sidecar = await startSidecar(there.settings, onSmallDisk(there.data))
    const ask = async () => {
      const response = await chat(sidecar.data, 'How full is a full disk?')
      assert.equal(response.status, 200)
      assert.equal(await response.text(), CHAT_BODY)
      return response.headers.get('x-qis-receipt')
    }
    const rate = async () =>
      postFeedback(sidecar.data, { receipt: await ask(), rating: 'up', comment: 'x'.repeat(5_000) })
    assert.equal((await rate()).status, 202)

    const filler = inside(sidecar.child.pid, join(there.data, 'filler'))
    await fillUp(filler)
    // The file of SQLite's log may have room left in it.
    const answers: Response[] = []
    for (let count = 0; count < 200 && answers.at(-1)?.status !== 503; count++) answers.push(await rate())
    const full = answers.at(-1)
    assert.equal(full?.status, 503)
    const { error } = (await full.json()) as { error: { code: string; message: string } }
    assert.equal(error.code, 'storage_unavailable')
    assert.match(error.message, /ERR_DATABASE_FULL/)
    for (let count = 0; count < 20; count++) await ask()
    assert.equal((await rate()).status, 503)

    await rm(filler)
    assert.equal((await rate()).status, 202)
    for (let count = 0; count < 20; count++) await ask()
  })
})

test('every table is in docs/storage.md, with its bound and its expiry', async () => {
  await using there = await site()
  {
    await using _ = await startSidecar(there.settings)
  }
  using database = new DatabaseSync(join(there.data, 'qis.db'), { readOnly: true })
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all()
    .map(({ name }) => String(name))
  const text = await readFile(new URL('../../docs/storage.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$/gm)].map(match => String(match[1]))
  assert.deepEqual(rows.toSorted(), tables.toSorted())
})

suite('a database of another version', () => {
  test('is opened when it is older', async () => {
    await using there = await site()
    const file = join(there.data, 'qis.db')
    const older = new DatabaseSync(file)
    older.exec(await readFile(new URL('../fixtures/database-v1.sql', import.meta.url), 'utf8'))
    older.close()
    await using sidecar = await startSidecar(there.settings)
    const answer = await chat(sidecar.data, 'hello')
    const feedback = { request_id: answer.headers.get('x-qis-request-id'), rating: 'up' }
    assert.equal((await postFeedback(sidecar.data, feedback)).status, 202)
  })

  test('is refused when it is newer, and left as it is', async () => {
    await using there = await site()
    const file = join(there.data, 'qis.db')
    {
      await using _ = await startSidecar(there.settings)
    }
    const newer = new DatabaseSync(file)
    newer.exec('UPDATE schema_version SET version = 99')
    newer.close()
    const before = await readFile(file)
    const refusal = await startSidecar(there.settings).then(
      async sidecar => {
        await sidecar[Symbol.asyncDispose]()
        assert.fail('it started')
      },
      (error: Error) => error.message,
    )
    assert.match(refusal, /ended with code 2:\nqis-sidecar: .*qis\.db was written by a newer qis-sidecar .*upgrade/)
    assert.deepEqual(await readFile(file), before)
  })
})
