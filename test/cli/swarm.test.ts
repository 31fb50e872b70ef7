import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createSwarmKey, decodeInvite, encodeInvite, readSwarm } from '../../router/swarm.ts'
import { until } from '../support/poll.ts'
import { qis, startQis } from '../support/qis.ts'
import { tempFolder } from '../support/temp-folder.ts'

const ADDRESS = '/ip4/203.0.113.7/tcp/4001'

const MEMBER = '12D3KooWRWiqaKFWpKggdS64Udvbzu49sJco1QPTzeKFGQEMu9fq'

function lines(text: string, length: number): string[] {
  return text.match(new RegExp(`.{1,${length}}`, 'g')) ?? []
}

async function sites(...names: string[]) {
  const folder = await tempFolder()
  const at = (name: string) => ({
    data: join(folder.path, name),
    qis: (...args: string[]) => qis(args, { QIS_DATA: join(folder.path, name) }),
  })
  return { path: folder.path, of: names.map(at), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

suite('qis identity', () => {
  test('makes a key once and prints the same id for ever', async () => {
    await using there = await sites('a')
    const [site] = there.of
    const first = await site?.qis('identity')
    assert.match(first?.out ?? '', /^12D3KooW\w{44}\n$/)
    assert.deepEqual(await site?.qis('identity'), first)
  })
})

suite('qis swarm', () => {
  test('two commands bring a second site into a swarm that lists its members', async () => {
    await using there = await sites('a', 'b')
    const [a, b] = there.of
    assert.ok(a && b)
    const created = await a.qis('swarm', 'create', '--address', ADDRESS, '--members')
    assert.deepEqual([created.code, created.err], [0, ''])
    const id = (await b.qis('identity')).out.trim()
    const invited = await a.qis('swarm', 'invite', id, 'St. Mary’s')
    assert.match(invited.out, /^qis1\.[\w-]+\n$/)
    const joined = await b.qis('swarm', 'join', invited.out.trim())
    assert.deepEqual([joined.code, joined.err], [0, ''])
    const [here, over] = await Promise.all([readSwarm(join(a.data, 'swarm')), readSwarm(join(b.data, 'swarm'))])
    assert.deepEqual(over, here)
    assert.deepEqual([...(over?.members?.values() ?? [])], ['this site', 'St. Mary’s'])
    const own = (await a.qis('identity')).out.trim()
    assert.deepEqual(over?.bootstrap, [`${ADDRESS}/p2p/${own}`])
    const shown = await Promise.all([a.qis('swarm', 'show'), b.qis('swarm', 'show')])
    assert.equal(shown[0]?.out, shown[1]?.out)
    assert.ok(!shown[0]?.out.includes(here?.key.slice(-64) ?? ''), 'the key is not shown')
    assert.equal((await stat(join(b.data, 'swarm', 'swarm.key'))).mode & 0o777, 0o600)
  })

  test('an invitation for another node, a broken one and one to another swarm change nothing', async () => {
    await using there = await sites('a', 'b', 'c')
    const [a, b, c] = there.of
    assert.ok(a && b && c)
    await a.qis('swarm', 'create', '--members')
    const { out } = await a.qis('swarm', 'invite', (await b.qis('identity')).out.trim())
    const notFor = await c.qis('swarm', 'join', out.trim())
    assert.deepEqual([notFor.code, notFor.out], [1, ''])
    assert.match(notFor.err, /not for this node: have 12D3KooW\w+ invited/)
    for (const broken of [out.trim().slice(0, -20), 'qis1.nonsense', join(there.path, 'no-such-file')]) {
      assert.equal((await c.qis('swarm', 'join', broken)).code, 1, broken)
    }
    assert.equal(await readSwarm(join(c.data, 'swarm')), undefined)
    await c.qis('swarm', 'create')
    const file = join(there.path, 'invitation.txt')
    await writeFile(file, (await c.qis('swarm', 'invite')).out)
    await b.qis('swarm', 'join', out.trim())
    const other = await b.qis('swarm', 'join', file)
    assert.equal(other.code, 1)
    assert.match(other.err, /another swarm/)
  })

  for (const [what, wrap] of [
    ['words around it', (line: string) => `Dear B,\nrun qis swarm join with qis1. and so on:\n\n  ${line}\n\nBest, A`],
    ['broken into lines', (line: string) => `${lines(line, 76).join('\r\n')}\r\n-- \r\nA. B.\r\n`],
    [
      'quoted in an answer',
      (line: string) =>
        lines(line, 40)
          .map(part => `> > ${part}\n`)
          .join(''),
    ],
    ['quoted-printable', (line: string) => `Here:=20\r\n${lines(line, 75).join('=\r\n')}\r\n`],
    ['in brackets', (line: string) => `(<${line}>).`],
  ] as const) {
    test(`an invitation is found as mail programs leave it: ${what}`, () => {
      for (const name of ['B', 'B {"}" of the town', 'St. Mary’s']) {
        const swarm = { key: createSwarmKey(), bootstrap: [ADDRESS], members: new Map([[MEMBER, name]]) }
        const line = encodeInvite(swarm)
        assert.deepEqual(decodeInvite(wrap(line)), swarm)
        assert.throws(() => decodeInvite(wrap(line.slice(0, -8))), { code: 'ERR_SWARM_INVALID' })
      }
    })
  }

  test('joins by a file with words around the invitation, and by what was pasted without quotes', async () => {
    await using there = await sites('a', 'b', 'c')
    const [a, b, c] = there.of
    assert.ok(a && b && c)
    await a.qis('swarm', 'create')
    const { out } = await a.qis('swarm', 'invite')
    const file = join(there.path, 'mail.txt')
    await writeFile(file, `Dear B, here it is:\n${lines(out.trim(), 60).join('\n')}\nYours, A\n`)
    assert.equal((await b.qis('swarm', 'join', file)).code, 0)
    assert.equal((await c.qis('swarm', 'join', 'here:', ...lines(out.trim(), 60))).code, 0)
    const folders = [a, b, c].map(({ data }) => readSwarm(join(data, 'swarm')))
    const [own, ...others] = await Promise.all(folders)
    for (const other of others) assert.equal(other?.key, own?.key)
  })

  test('a newer invitation adds to what is known', async () => {
    await using there = await sites('a', 'b', 'c')
    const [a, b, c] = there.of
    assert.ok(a && b && c)
    await a.qis('swarm', 'create', '--members')
    await b.qis('swarm', 'join', (await a.qis('swarm', 'invite', (await b.qis('identity')).out.trim(), 'B')).out.trim())
    const newer = (await a.qis('swarm', 'invite', (await c.qis('identity')).out.trim(), 'C')).out.trim()
    await b.qis('swarm', 'join', newer)
    assert.deepEqual([...((await readSwarm(join(b.data, 'swarm')))?.members?.values() ?? [])], ['this site', 'B', 'C'])
  })

  test('misuse is told from misfortune', async () => {
    await using there = await sites('a')
    const [a] = there.of
    assert.ok(a)
    assert.equal((await a.qis('swarm', 'creat')).code, 2)
    assert.equal((await a.qis('swarm', 'show')).code, 1)
    await a.qis('swarm', 'create', '--members')
    assert.equal((await a.qis('swarm', 'invite')).code, 2)
    assert.equal((await a.qis('swarm', 'invite', 'nobody')).code, 1)
    const key = await readFile(join(a.data, 'swarm', 'swarm.key'))
    assert.equal((await a.qis('swarm', 'create')).code, 1)
    assert.deepEqual(await readFile(join(a.data, 'swarm', 'swarm.key')), key)
  })
})

test('qis relay prints where it can be found and ends when told to', async () => {
  await using folder = await tempFolder()
  await using running = startQis(['relay'], { QIS_DATA: folder.path })
  await until('an address', () => /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW\w+\n$/.test(running.out()), {
    deadlineMs: 60_000,
  })
  running.child.kill('SIGTERM')
  assert.deepEqual([await running.ended, running.err()], [0, ''])
})
