import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { ledger } from '../../cli/commands/ledger.ts'
import { openPacket } from '../../router/packet.ts'
import { modelServer } from '../support/models.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How do I cancel my train ticket and get a refund?'

async function run(args: string[], env: Record<string, string>) {
  const out = new PassThrough()
  const err = new PassThrough()
  const said = Promise.all([text(out), text(err)])
  const code = await ledger.run(args, { out, err, env, signal: new AbortController().signal }).finally(() => {
    out.end()
    err.end()
  })
  const [printed, complaints] = await said
  return {
    code,
    out: printed,
    err: complaints,
    lines: () =>
      printed
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
  }
}

/** A sidecar whose answers were rated, and whose packets have left. */
async function site(ratings: number) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream())
  const sidecar = parts.use(await startTestSidecar(upstream.url, { QIS_MODE: 'share' }))
  const asked: string[] = []
  const given: string[] = []
  for (let count = 0; count < ratings; count++) {
    const answer = await chat(sidecar.data, QUESTION)
    await answer.text()
    const id = answer.headers.get('x-qis-request-id') ?? ''
    const response = await postFeedback(sidecar.data, { request_id: id, rating: 'up' })
    given.push(((await response.json()) as { feedback_id: string }).feedback_id)
    asked.push(id)
  }
  const left = async () => (await sidecar.sidecar.router.ledger({ offset: 0, limit: 100 })).length
  await until('all to leave', async () => (await left()) === ratings)
  return {
    sidecar,
    asked,
    given,
    env: { QIS_DATA: sidecar.dataDir },
    file: join(sidecar.dataDir, 'qis.db'),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

suite('qis ledger', () => {
  test('shows what left, to whom, and on account of which feedback, while the sidecar runs', async () => {
    await using there = await site(3)
    const { out, code } = await run([], there.env)
    assert.equal(code, 0)
    for (const id of [...there.asked, ...there.given]) assert.ok(out.includes(id), id)
    assert.equal(out.match(/^\d+ {2}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}to 0 peers {2}\d+ bytes$/gm)?.length, 3)
    assert.equal(out.match(/^ {4}on {5}qis\/1\/[0-9a-f]{64}$/gm)?.length, 3)
    const { out: last } = await run(['--limit', '1'], there.env)
    assert.ok(!last.includes(there.asked[1] ?? '') && last.includes(there.asked[2] ?? ''))
  })

  test('exports every byte, an object a line, and the admin listener shows the same', async () => {
    await using there = await site(2)
    const lines = (await run(['--json'], there.env)).lines()
    assert.deepEqual(
      lines.map(({ seq, requestId, feedback }) => ({ seq, requestId, feedback })),
      there.asked.map((requestId, at) => ({ seq: at + 1, requestId, feedback: [there.given[at]] })),
    )
    for (const { bytes, payload } of lines) {
      const { packet } = await openPacket(Buffer.from(bytes, 'hex'))
      assert.deepEqual([packet.answer, packet.signal], [payload.n, 1])
    }
    const response = await fetch(`${there.sidecar.admin}/qis/ledger`)
    const { entries } = (await response.json()) as { entries: Record<string, unknown>[] }
    assert.deepEqual(
      entries
        .toReversed()
        .map(({ seq, topic, requestId, feedback, hash }) => ({ seq, topic, requestId, feedback, hash })),
      lines.map(({ seq, topic, requestId, feedback, hash }) => ({ seq, topic, requestId, feedback, hash })),
    )
  })

  test('says when nothing has left, and where there is nothing to read', async () => {
    await using there = await site(0)
    assert.equal((await run([], there.env)).out, 'nothing has left\n')
    assert.equal((await run(['--json'], there.env)).out, '')
    await assert.rejects(run([], { QIS_DATA: '/nowhere' }), { message: /QIS_DATA/ })
    await using folder = await tempFolder()
    new DatabaseSync(join(folder.path, 'qis.db')).close()
    await assert.rejects(run([], { QIS_DATA: folder.path }), { message: /no such table: ledger_chain.*starts/ })
  })

  test('is misused with a limit that is none, or an end that is none', async () => {
    for (const args of [
      ['--limit', 'x'],
      ['--verify', '--noted', '5'],
      ['--noted', '5:00'],
    ]) {
      await assert.rejects(run(args, { QIS_DATA: '/nowhere' }), { code: 'ERR_USAGE' })
    }
  })
})

suite('qis ledger --verify', () => {
  test('finds what was done to the file behind the sidecar, and says where', async () => {
    await using there = await site(3)
    const sound = await run(['--verify'], there.env)
    assert.equal(sound.code, 0)
    const [, end = ''] =
      /^all 3 entries are as they were written\nend of the chain: (3:[0-9a-f]{64})\n$/.exec(sound.out) ?? []
    assert.equal((await run(['--verify', '--noted', end], there.env)).code, 0)
    const admin = async () =>
      (await (await fetch(`${there.sidecar.admin}/qis/ledger/verify`)).json()) as Record<string, unknown>
    assert.deepEqual(await admin(), { ok: true, entries: 3, unchained: 0, head: { seq: 3, hash: end.slice(2) } })

    const file = new DatabaseSync(there.file)
    file.exec('UPDATE ledger SET left_at = 0 WHERE seq = 2')
    const changed = await run(['--verify'], there.env)
    assert.deepEqual([changed.code, changed.out], [1, 'entry 2 is not what was written\n'])
    const [json] = (await run(['--verify', '--json'], there.env)).lines()
    assert.deepEqual([json.ok, json.at, json.fault, json.head], [false, 2, 'changed', end])
    assert.equal((await admin()).fault, 'changed')
    file.exec('DELETE FROM ledger WHERE seq = 2')
    assert.match((await run(['--verify'], there.env)).out, /^entry 2 is missing/)
    file.close()
    assert.match((await run(['--verify', '--noted', `3:${'0'.repeat(64)}`], there.env)).out, /entry 2 is missing/)
  })
})

suite('qis ledger --dry-run', () => {
  const dry = async (args: string[], env: Record<string, string> = {}) => {
    await using folder = await tempFolder()
    const { lines } = await run(['--dry-run', QUESTION, '--json', ...args], {
      QIS_DATA: join(folder.path, 'none'),
      QIS_UPSTREAM: 'http://127.0.0.1:1 llama-3 qwen2',
      ...env,
    })
    return Object.fromEntries(
      lines().map(({ payload, ...line }) => [line.profile, { ...line, said: payload && JSON.parse(payload) }]),
    )
  }

  test('shows the packet of each profile, and what would be left out of it', async () => {
    const { open, standard, clinical } = await dry([
      ...['--correction', 'factual', '--self-confidence', '0.83', '--domain', 'travel', '--model', 'Org/Llama-3-AWQ'],
    ])
    assert.match(open.said.qsh, /^[0-9a-f]{16}$/)
    assert.match(standard.said.qsh, /^[0-9a-f]{2,4}$/)
    assert.ok(open.said.qsh.startsWith(standard.said.qsh) && standard.said.qsh.startsWith(clinical.said.qsh))
    assert.deepEqual(
      [open.said.ci, standard.said.ci, standard.said.ct, standard.said.d, standard.said.mv],
      [0.85, undefined, 'factual', 'travel', 'llama-3'],
    )
    assert.deepEqual([clinical.said.ci, clinical.said.ct, clinical.said.ep], [undefined, undefined, 2])
    assert.ok(Math.abs(clinical.oneWithProbability - 1 / (1 + Math.exp(2))) < 1e-9)
    assert.deepEqual(
      [open.delay, standard.delay],
      [
        { mean: 0, atMost: 0 },
        { mean: 600, atMost: 3600 },
      ],
    )
    assert.deepEqual([open.active, standard.active, clinical.active], [false, true, false])
    for (const { bytes } of [open, standard, clinical]) assert.ok(bytes > 250 && bytes <= 512)
  })

  test('goes by what is asked and by the settings', async () => {
    assert.equal((await dry(['--rating', 'up'])).open.said.os, 1)
    assert.equal((await dry(['--score', '0.25'])).open.said.os, 0.25)
    const coarse = await dry([], { QIS_K: '300' })
    for (const { said, withheld } of [coarse.open, coarse.standard, coarse.clinical]) {
      assert.ok(withheld === 'rare' || said.qsh.length === 2)
    }
    const kept = await dry(['--domain', 'legal'], { QIS_PRIVATE_DOMAINS: 'legal', QIS_PROFILE: 'clinical' })
    assert.deepEqual(
      [kept.open, kept.standard, kept.clinical].map(({ withheld }) => withheld),
      ['domain', 'domain', 'domain'],
    )
    assert.equal(kept.clinical.active, true)
  })

  test('shows which labels are told otherwise, left out, or keep the outcome here', async () => {
    const labels = ['--domain', 'code.john-doe', '--model', 'llama-3', '--strategy', 'ward-7-dr-smith']
    const { open, standard } = await dry(labels)
    assert.deepEqual([open.said.d, open.said.st, open.otherwise], ['code.john-doe', 'ward-7-dr-smith', {}])
    assert.deepEqual(
      [standard.said.d, standard.said.st, standard.otherwise],
      ['code', undefined, { domain: 'code', strategy: null }],
    )
    const free = await dry(labels, { QIS_SHARE_STRATEGIES: 'ward-7-dr-smith', QIS_SHARE_DOMAINS: 'code.john-doe' })
    assert.deepEqual([free.standard.said.d, free.standard.said.st], ['code.john-doe', 'ward-7-dr-smith'])
    const strange = await dry(['--model', 'john.doe@example.com'])
    assert.deepEqual([strange.standard.withheld, strange.clinical.withheld], ['model', 'model'])
    const only = await dry(['--model', 'john'], { QIS_UPSTREAM: 'http://127.0.0.1:1 llama-3' })
    assert.deepEqual([only.standard.said.mv, only.standard.otherwise], ['llama-3', { model: 'llama-3' }])
    await using upstream = await modelServer(['listed', 'another'])
    assert.equal((await dry(['--model', 'listed'], { QIS_UPSTREAM: upstream.url })).standard.said.mv, 'listed')
    const { out } = await run(['--dry-run', QUESTION, ...labels], { QIS_UPSTREAM: 'http://127.0.0.1:1 llama-3' })
    assert.match(out, /^standard .*\n.*\n.*\n {4}its domain is told as code\n {4}its strategy is left out/m)
  })

  test('tells a person the same, and keeps nothing', async () => {
    await using folder = await tempFolder()
    const env = {
      QIS_DATA: join(folder.path, 'none'),
      QIS_MODE: 'receive',
      QIS_UPSTREAM: 'http://127.0.0.1:1 llama-3 qwen2',
    }
    const { out } = await run(['--dry-run', QUESTION], env)
    assert.match(out, /^open: \d+ bytes, at once\n {4}\{"v":1,/)
    assert.match(out, /^standard \(QIS_PROFILE\): \d+ bytes, after 600 s on average, 3600 s at most\n {4}\{"v":1,/m)
    assert.match(out, /^ {4}os is drawn once: 1 with a probability of 0\.119, else 0$/m)
    assert.match(out, /nothing leaves at all now, since QIS_MODE is receive\n$/)
    const { code, err } = await run(['--dry-run', '…'], env)
    assert.deepEqual([code, /no word/.test(err)], [1, true])
    assert.throws(() => new DatabaseSync(join(env.QIS_DATA, 'qis.db'), { readOnly: true }))
  })

  test('is misused with what no answer can have', async () => {
    for (const args of [
      ['--rating', 'meh'],
      ['--score', '2'],
      ['--correction', 'x'],
      ['--domain', 'A b'],
      ['--self-confidence', ''],
    ]) {
      await assert.rejects(dry(args), { code: 'ERR_USAGE' })
    }
  })
})
