import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import type { Command } from '../../cli/command.ts'
import { backup } from '../../cli/commands/backup.ts'
import { exporting } from '../../cli/commands/export.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

async function run(command: Command, args: string[], dataDir: string, signal = new AbortController().signal) {
  const out = new PassThrough()
  const err = new PassThrough()
  const said = Promise.all([text(out), text(err)])
  try {
    const code = await command.run(args, { out, err, env: { QIS_DATA: dataDir }, signal })
    return { code, out, said }
  } finally {
    out.end()
    err.end()
  }
}

async function outputOf(command: Command, args: string[], dataDir: string): Promise<string> {
  const { code, said } = await run(command, args, dataDir)
  const [out, err] = await said
  assert.equal(code, 0)
  assert.equal(err, '')
  return out
}

async function site() {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const upstream = parts.use(await startUpstream())
  const sidecar = parts.use(await startTestSidecar(upstream.url, { QIS_MODE: 'share' }))
  const rate = async (comment: string) => {
    const answer = await chat(sidecar.data, `What of ${comment}?`)
    await answer.text()
    const receipt = answer.headers.get('x-qis-receipt')
    assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'up', comment })).status, 202)
  }
  return { folder: folder.path, sidecar, rate, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

function commentsIn(file: string): string[] {
  using database = new DatabaseSync(file, { readOnly: true })
  return database
    .prepare('SELECT feedback FROM feedback')
    .all()
    .map(row => /"comment":"([^"]*)"/.exec(String(row.feedback))?.[1] ?? '')
}

suite('qis backup', () => {
  test('copies all that was acknowledged, while the sidecar goes on writing', async () => {
    await using there = await site()
    const before = Array.from({ length: 20 }, (_, index) => `before ${index}`)
    for (const comment of before) await there.rate(comment)
    const file = join(there.folder, 'copy.db')
    let copying = true
    const meanwhile = (async () => {
      for (let count = 0; copying; count++) await there.rate(`meanwhile ${count}`)
    })()
    const said = await outputOf(backup, [file], there.sidecar.dataDir)
    copying = false
    await meanwhile

    const { size, mode } = await stat(file)
    assert.equal(said, `${file}: ${size} bytes\n`)
    assert.equal(mode & 0o777, 0o600)
    const kept = new Set(commentsIn(file))
    assert.deepEqual(
      before.filter(comment => !kept.has(comment)),
      [],
    )
    assert.deepEqual(await readdir(there.folder), ['copy.db'])
  })

  test('overwrites nothing, and leaves nothing behind when there is nothing to copy', async () => {
    await using there = await site()
    const file = join(there.folder, 'precious')
    await writeFile(file, 'precious')
    await assert.rejects(run(backup, [file], there.sidecar.dataDir), { message: /precious exists, and is not/ })
    assert.equal(await readFile(file, 'utf8'), 'precious')
    await assert.rejects(run(backup, [join(there.folder, 'new')], there.folder), {
      code: 'ERR_DATABASE_FAILED',
      message: /qis\.db cannot be opened .*QIS_DATA/,
    })
    assert.deepEqual(await readdir(there.folder), ['precious'])
  })

  test('that is interrupted leaves nothing behind', async () => {
    await using there = await site()
    await assert.rejects(run(backup, [join(there.folder, 'new')], there.sidecar.dataDir, AbortSignal.abort()), {
      name: 'AbortError',
    })
    assert.deepEqual(await readdir(there.folder), [])
  })

  test('wants one name', async () => {
    for (const args of [[], ['a', 'b']]) await assert.rejects(run(backup, args, '/nowhere'), { code: 'ERR_USAGE' })
  })
})

suite('qis export', () => {
  test('prints every row once, a JSON object a line', async () => {
    await using there = await site()
    await there.rate('one')
    await there.rate('two')
    await until('the packets to have left', async () => (await linesOf(there, 'ledger')).length === 2)
    const lines = await linesOf(there)
    using database = new DatabaseSync(join(there.sidecar.dataDir, 'qis.db'), { readOnly: true })
    for (const table of ['feedback', 'outcomes', 'packets', 'ledger']) {
      assert.equal(lines.filter(line => line.table === table).length, 2, table)
      assert.equal(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n, 2)
    }
    const [departed] = lines.filter(line => line.table === 'ledger')
    assert.ok(departed)
    assert.equal((departed.payload as { os: number }).os, 1)
    assert.match(String(departed.author), /^12D3Koo/)
    assert.match(String(departed.bytes), /^0a24[0-9a-f]+$/)
    const outcome = lines.find(line => line.table === 'outcomes')?.outcome
    assert.equal((outcome as { signal: number }).signal, 1)
  })

  test('prints one table when asked, and names those there are when there is none of that name', async () => {
    await using there = await site()
    await there.rate('one')
    const lines = await linesOf(there, 'feedback')
    assert.deepEqual(
      lines.map(line => line.table),
      ['feedback'],
    )
    await assert.rejects(run(exporting, ['--table', 'x'], there.sidecar.dataDir), {
      message: /no table x; there are answers, feedback, .*outcomes/,
    })
  })

  test('knows no other format', async () => {
    await assert.rejects(run(exporting, ['--format', 'csv'], '/nowhere'), {
      code: 'ERR_USAGE',
      message: /jsonl, not csv/,
    })
  })

  async function linesOf({ sidecar }: Awaited<ReturnType<typeof site>>, ...tables: string[]) {
    const args = ['--format', 'jsonl', ...tables.flatMap(table => ['--table', table])]
    const lines = (await outputOf(exporting, args, sidecar.dataDir)).trimEnd().split('\n')
    return lines.filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>)
  }
})
