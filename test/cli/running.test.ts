/** The commands that ask a running sidecar, against one. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import type { Command } from '../../cli/command.ts'
import { advise } from '../../cli/commands/advise.ts'
import { bench } from '../../cli/commands/bench.ts'
import { feedback } from '../../cli/commands/feedback.ts'
import { packets } from '../../cli/commands/packets.ts'
import { peers } from '../../cli/commands/peers.ts'
import { status } from '../../cli/commands/status.ts'
import { columns, counted, duration } from '../../cli/words.ts'
import { answering, ask } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

async function run(command: Command, args: string[], env: Record<string, string>) {
  const out = new PassThrough()
  const said = text(out)
  const io = { out, err: new PassThrough(), env, signal: new AbortController().signal }
  const code = await command.run(args, io).finally(() => out.end())
  return { code, out: await said }
}

const at = ({ data, admin }: TestSidecar, more: Record<string, string> = {}) => ({
  QIS_CONFIG: 'off',
  QIS_DATA_LISTEN: new URL(data).host,
  QIS_ADMIN_LISTEN: new URL(admin).host,
  ...more,
})
const last = (out: string) => JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')

suite('commands that ask a running sidecar', () => {
  const parts = new AsyncDisposableStack()
  let sidecar: TestSidecar
  let env: Record<string, string>
  before(async () => {
    const upstream = parts.use(await answering())
    sidecar = parts.use(await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_ADMIN_TOKEN: 'secret' }))
    env = at(sidecar, { QIS_ADMIN_TOKEN: 'secret' })
    const QIS_BOOTSTRAP = sidecar.sidecar.router.status().addresses.join(',')
    const other = parts.use(await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_BOOTSTRAP }))
    await until('a peer', () => other.sidecar.router.status().peers.length === 1)
    await ask(sidecar)
    const { requestId } = await ask(other)
    await postFeedback(other.data, { request_id: requestId, rating: 'down', correction: { type: 'factual' } })
    await until('the packet', () => sidecar.sidecar.router.status().evidence === 1, { deadlineMs: 150_000 })
  })
  after(() => parts.disposeAsync())

  test('status tells what it is and does, in words and as JSON', async () => {
    const { code, out } = await run(status, [], env)
    assert.equal(code, 0)
    assert.match(out, /^set-up +mode share, profile open, embedder static, space sense-1$/m)
    assert.match(out, /^requests +1 question, 0 others$/m)
    assert.match(out, /^network +open swarm, 1 peer, /m)
    assert.equal(last((await run(status, ['--json'], env)).out).evidence, 1)
  })

  test('peers and packets list who is there and what came, a page at a time if need be', async () => {
    const listed = last((await run(peers, ['--json'], env)).out)
    assert.deepEqual([listed.packets, listed.handed.accepted, listed.standing], [1, 1, 'unproven'])
    assert.match((await run(peers, [], env)).out, new RegExp(`^${listed.id} +\\d+ (s|min) +unproven +1 +1`, 'm'))
    const packet = last((await run(packets, ['--json'], env)).out)
    assert.deepEqual([packet.author, packet.signal, packet.correction], [listed.id, 0, 'factual'])
    assert.match((await run(packets, ['--cell', packet.cell], env)).out, /^m +general +\w+ +0 factual +person /m)
    assert.equal((await run(packets, ['--limit', '0', '--json'], env)).out, '')
    await assert.rejects(run(packets, ['--cell', 'xyz'], env), { code: 'ERR_USAGE' })
  })

  test('advise says what is known of a text', async () => {
    const args = ['How much ibuprofen may an adult take per day?', '--model', 'm', '--domain', 'general']
    const [told] = last((await run(advise, [...args, '--json'], env)).out).models
    assert.deepEqual([told.model, told.packets], ['m', 1])
    assert.match((await run(advise, args, env)).out, /^domain general \(client\)[\s\S]*\nm +[-\d]/m)
    await assert.rejects(run(advise, [], env), { code: 'ERR_USAGE' })
  })

  test('feedback is given, listed, shown and taken back', async () => {
    const { requestId } = await ask(sidecar)
    const given = await run(feedback, ['give', requestId, '--rating', 'down', '--correction', 'format', '--json'], env)
    const { feedback_id: id, status: state } = last(given.out)
    assert.equal(state, 'accepted')
    assert.match((await run(feedback, ['list'], env)).out, new RegExp(`down +user +kept +general +m +${id}`))
    const shown = JSON.parse((await run(feedback, ['show', id], env)).out)
    assert.deepEqual([shown.request_id, shown.correction.type], [requestId, 'format'])
    assert.equal(last((await run(feedback, ['withdraw', id, '--json'], env)).out).status, 'revoked')
    await assert.rejects(run(feedback, ['show', 'fb-none', '--json'], env), /404: there is no feedback/)
    await assert.rejects(run(feedback, ['give', requestId], env), { code: 'ERR_USAGE' })
    await assert.rejects(run(feedback, ['gvie'], env), /did you mean give\?/)
  })

  test('the token may stand in a file or on the command line; a hash alone will not do', async () => {
    const file = join(sidecar.dataDir, 'tokens')
    await writeFile(file, `# ours\nsha256:${'0'.repeat(64)}\nsecret\n`)
    assert.equal((await run(status, [], { ...env, QIS_ADMIN_TOKEN: `file:${file}` })).code, 0)
    assert.equal((await run(status, ['--admin-token', 'secret'], at(sidecar))).code, 0)
    await assert.rejects(run(status, [], { ...env, QIS_ADMIN_TOKEN: `sha256:${'0'.repeat(64)}` }), /401.*--admin-token/)
  })

  test('where none runs, each says so', async () => {
    const nobody = { QIS_CONFIG: 'off', QIS_ADMIN_LISTEN: '127.0.0.1:1', QIS_DATA_LISTEN: '127.0.0.1:1' }
    for (const [command, args] of [
      [status, []],
      [peers, []],
      [packets, []],
      [advise, ['x']],
      [feedback, ['list']],
    ] as [Command, string[]][]) {
      await assert.rejects(run(command, args, nobody), /no sidecar answers at http:\/\/127\.0\.0\.1:1: is it running/)
    }
  })
})

suite('qis bench', () => {
  test('lists the benches of a checkout, and names the nearest to one that is none', async () => {
    assert.match((await run(bench, [], {})).out, /^fingerprint$/m)
    assert.ok(last((await run(bench, ['--json'], {})).out).includes('proxy'))
    await assert.rejects(run(bench, ['fingerprnit'], {}), /did you mean fingerprint\?/)
  })
})

test('figures are put into words', () => {
  assert.deepEqual([59, 60, 7200, 200_000].map(duration), ['59 s', '1 min', '2 h', '2 d'])
  assert.deepEqual([counted(1, 'peer'), counted(2000, 'peer')], ['1 peer', '2,000 peers'])
  assert.equal(columns(['A', 'B'], [['xx', 'y']]), 'A   B\nxx  y\n')
  assert.equal(columns(['A'], []), '')
})
