import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { type SidecarProcess, startSidecar } from '../../demo/sidecar-process.ts'
import { isRunning } from '../support/children.ts'
import { until } from '../support/poll.ts'
import { chat } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { CHAT_BODY, CHAT_EVENTS, startUpstream } from '../support/upstream.ts'

const SPACE = join(import.meta.dirname, '../../embeddings/spaces/sense-1')

/** A port that something else listens on. */
async function takenPort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { port: address.port, [Symbol.asyncDispose]: async () => void server.close() }
}

async function run() {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const upstream = parts.use(await startUpstream())
  const settings = { QIS_UPSTREAM: upstream.url, QIS_DATA: join(folder.path, 'data'), QIS_MODE: 'off' }
  return { folder: folder.path, upstream, settings, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** Starts a sidecar that must refuse to, with one line and exit code 2. */
async function refusal(settings: Record<string, string>): Promise<string> {
  const started = startSidecar(settings)
  const failure = await started.then(
    async (sidecar: SidecarProcess) => {
      await sidecar[Symbol.asyncDispose]()
      assert.fail('it started')
    },
    (error: Error) => error.message,
  )
  const [first = '', ...lines] = failure.split('\n')
  assert.match(first, /ended with code 2/)
  const said = lines.filter(line => line !== '')
  assert.equal(said.length, 1, failure)
  return said[0] ?? ''
}

const DATABASE = ['qis.db 600', 'qis.db-shm 600', 'qis.db-wal 600']

/** Of a folder and what is in it: names, and who may do what. */
async function modes(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).sort().map(name => join(folder, name))
  return Promise.all(
    [folder, ...files].map(async path => `${basename(path)} ${((await stat(path)).mode & 0o777).toString(8)}`),
  )
}

suite('a start that cannot succeed says why in one line and leaves everything as it was', () => {
  const broken: [string, string, RegExp][] = [
    ['database', 'qis.db', /qis\.db is not a readable database.*restore a backup/],
    ['identity', 'identity.key', /identity\.key does not hold an Ed25519 key.*restore it/],
    ['receipt key', 'receipt.key', /receipt\.key does not hold a receipt key.*restore it/],
  ]
  for (const [what, file, expected] of broken) {
    test(`a broken ${what}`, async () => {
      await using site = await run()
      const path = join(site.settings.QIS_DATA, file)
      await mkdir(site.settings.QIS_DATA)
      const rubbish = Buffer.from('this is not what it should be\n'.repeat(200))
      await writeFile(path, rubbish)
      assert.match(await refusal(site.settings), expected)
      assert.deepEqual(await readFile(path), rubbish)
    })
  }

  test('a codebook or an embedder table that was tampered with', async () => {
    await using site = await run()
    const space = join(site.folder, 'space')
    await cp(SPACE, space, { recursive: true })
    for (const file of ['codebook.bin', 'embedder.bin']) {
      const path = join(space, file)
      const bytes = await readFile(path)
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(1000) ^ 1, 1000)
      await writeFile(path, changed)
      const said = await refusal({ ...site.settings, QIS_SPACE: space })
      assert.ok(said.includes(`${path} does not match its hash`), said)
      await writeFile(path, bytes)
    }
  })

  test('a setting that makes no sense', async () => {
    await using site = await run()
    assert.match(await refusal({ ...site.settings, QIS_MODE: 'maybe' }), /QIS_MODE must be one of/)
  })

  test('a space that belongs to another embedder', async () => {
    await using site = await run()
    assert.match(await refusal({ ...site.settings, QIS_SPACE: 'potion-base-2m' }), /QIS_SPACE must be the space/)
    assert.match(await refusal({ ...site.settings, QIS_SPACE: 'nonsense' }), /no space nonsense.*sense-1/)
  })

  test('a data port that is taken', async () => {
    await using site = await run()
    await using taken = await takenPort()
    const said = await refusal({ ...site.settings, QIS_DATA_LISTEN: `127.0.0.1:${taken.port}` })
    assert.match(said, /cannot listen on .*EADDRINUSE.*QIS_DATA_LISTEN/)
  })
})

suite('a running sidecar', () => {
  test('lets nobody else read its data, whatever the umask', async () => {
    await using site = await run()
    await using sidecar = await startSidecar(site.settings, ['sh', '-c', 'umask 0 && exec "$@"', 'sh'])
    await chat(sidecar.data, 'hello')
    const data = site.settings.QIS_DATA
    assert.deepEqual(await modes(data), ['data 700', 'identity.key 600', ...DATABASE, 'receipt.key 600'])
  })

  test('takes from others what an earlier version let them read', async () => {
    await using site = await run()
    const data = site.settings.QIS_DATA
    await mkdir(data)
    using earlier = new DatabaseSync(join(data, 'qis.db'))
    earlier.exec('PRAGMA journal_mode = WAL; CREATE TABLE old (text TEXT); SELECT * FROM old')
    for (const name of await readdir(data)) await chmod(join(data, name), 0o666)
    await using _ = await startSidecar(site.settings)
    assert.deepEqual(
      (await modes(data)).filter(line => line.startsWith('qis.db')),
      DATABASE,
    )
  })

  test('serves on when the port for its peers is taken, and says so', async () => {
    await using site = await run()
    await using taken = await takenPort()
    await using sidecar = await startSidecar({
      ...site.settings,
      QIS_MODE: 'share',
      QIS_P2P_LISTEN: `/ip4/127.0.0.1/tcp/${taken.port}`,
    })
    assert.equal(await (await chat(sidecar.data, 'hello')).text(), CHAT_BODY)
    assert.ok(sidecar.log.some(line => line.includes('the network could not start')))
  })

  test('case 34: finishes the answers under way after SIGTERM, refuses new ones, and leaves with code 0', async () => {
    await using site = await run()
    site.upstream.mode = 'stream-gated'
    await using sidecar = await startSidecar(site.settings)
    const response = await chat(sidecar.data, 'hello')
    const seen = await site.upstream.nextRequest({ path: '/v1/chat/completions' })
    const exited = once(sidecar.child, 'exit')
    sidecar.child.kill('SIGTERM')
    await until('readyz to say no', async () => (await fetch(`${sidecar.admin}/readyz`)).status === 503)
    await until('the data port to close', () =>
      chat(sidecar.data, 'too late').then(
        () => false,
        () => true,
      ),
    )
    seen.release(CHAT_EVENTS.length)
    assert.equal(await response.text(), CHAT_EVENTS.join(''))
    assert.deepEqual(await exited, [0, null])
  })

  test('cuts answers that outlast QIS_SHUTDOWN_MS', async () => {
    await using site = await run()
    site.upstream.mode = 'stream-gated'
    await using sidecar = await startSidecar({ ...site.settings, QIS_SHUTDOWN_MS: '200' })
    const response = await chat(sidecar.data, 'hello')
    const exited = once(sidecar.child, 'exit')
    sidecar.child.kill('SIGTERM')
    await assert.rejects(response.text())
    assert.deepEqual(await exited, [0, null])
  })

  for (const [how, end] of [
    ['SIGTERM to npm', (npm: ChildProcess) => npm.kill('SIGTERM')],
    [
      'Ctrl-C, of which npm tells it again',
      (npm: ChildProcess, pid: number) => npm.kill('SIGINT') && process.kill(pid, 'SIGINT'),
    ],
  ] as const) {
    test(`started with npm start: finishes the answers under way after ${how}, and leaves nothing running`, async () => {
      await using site = await run()
      site.upstream.mode = 'stream-gated'
      await using npm = await startSidecar(site.settings, [], ['npm', '--silent', 'start'])
      const { pid } = JSON.parse(npm.log.at(-1) ?? '') as { pid: number }
      using _ = { [Symbol.dispose]: () => void (isRunning(pid) && process.kill(pid, 'SIGKILL')) }
      assert.notEqual(pid, npm.child.pid)
      const response = await chat(npm.data, 'hello')
      const seen = await site.upstream.nextRequest({ path: '/v1/chat/completions' })
      const exited = once(npm.child, 'exit')
      end(npm.child, pid)
      await until('it to stop', () => npm.log.some(line => line.includes('stopping')))
      seen.release(CHAT_EVENTS.length)
      assert.equal(await response.text(), CHAT_EVENTS.join(''))
      assert.deepEqual(await exited, [0, null])
      assert.ok(!isRunning(pid))
    })
  }

  test('ends at once at a second signal that comes later', async () => {
    await using site = await run()
    site.upstream.mode = 'stream-gated'
    await using sidecar = await startSidecar(site.settings)
    const response = await chat(sidecar.data, 'hello')
    const exited = once(sidecar.child, 'exit')
    const endAgain = () => sidecar.child.signalCode ?? (sidecar.child.kill('SIGTERM') ? undefined : 'gone')
    await until('it to end', endAgain, { everyMs: 100 })
    await assert.rejects(response.text())
    assert.deepEqual(await exited, [null, 'SIGTERM'])
  })

  test('asks for the token when it can be reached from other machines, but never of a proxied request', async () => {
    await using site = await run()
    await using sidecar = await startSidecar({
      ...site.settings,
      QIS_DATA_LISTEN: '0.0.0.0:0',
      QIS_ADMIN_LISTEN: '0.0.0.0:0',
      QIS_ADMIN_TOKEN: 'secret',
    })
    const [data, admin] = [sidecar.data, sidecar.admin].map(url => url.replace('0.0.0.0', '127.0.0.1')) as [
      string,
      string,
    ]
    const answer = await chat(data, 'hello')
    assert.equal(answer.status, 200)
    const feedback = async (body: object, authorization?: string) =>
      (
        await fetch(`${data}/qis/feedback`, {
          method: 'POST',
          body: JSON.stringify({ rating: 'up', ...body }),
          headers: authorization === undefined ? {} : { authorization },
        })
      ).status
    const request_id = answer.headers.get('x-qis-request-id')
    assert.equal(await feedback({ request_id }), 401)
    assert.equal(await feedback({ request_id }, 'Bearer wrong'), 401)
    assert.equal(await feedback({ request_id }, 'Bearer secret'), 202)
    assert.equal(await feedback({ receipt: answer.headers.get('x-qis-receipt') }), 202)
    assert.equal((await fetch(`${admin}/metrics`)).status, 401)
    assert.equal((await fetch(`${admin}/metrics`, { headers: { authorization: 'Bearer secret' } })).status, 200)
    assert.equal((await fetch(`${admin}/healthz`)).status, 200)
  })
})
