import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { doctor } from '../../cli/commands/doctor.ts'
import type { Finding } from '../../cli/doctor/finding.ts'
import { freePort } from '../support/ports.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures')
const SPACES = join(import.meta.dirname, '../../embeddings/spaces')

async function run(args: string[], env: Record<string, string>) {
  const [out, err] = [new PassThrough(), new PassThrough()]
  const said = Promise.all([text(out), text(err)])
  const code = await doctor.run(args, { out, err, env, signal: new AbortController().signal })
  out.end()
  err.end()
  return { code, out: (await said)[0] }
}

async function examine(env: Record<string, string>) {
  const { code, out } = await run(['--json'], env)
  const lines = out.split('\n').filter(line => line !== '')
  return { code, findings: lines.map(line => JSON.parse(line) as Finding) }
}

async function listening(server: Server) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

const models: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"object":"list","data":[{"id":"llama3"},{"id":"phi4"}]}')
}

/** A set-up with nothing wrong; each test breaks one thing. */
async function setUp() {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const llm = parts.use(await listening(createServer(models)))
  const env = {
    QIS_UPSTREAM: `http://127.0.0.1:${llm.port}`,
    QIS_DATA: join(folder.path, 'data'),
    QIS_DATA_LISTEN: `127.0.0.1:${await freePort()}`,
    QIS_ADMIN_LISTEN: `127.0.0.1:${await freePort()}`,
  }
  return { env, folder: folder.path, llm, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

/** The one thing found wrong. */
async function theFinding(env: Record<string, string>, state: 'fault' | 'warning'): Promise<Finding> {
  const { code, findings } = await examine(env)
  const wrong = findings.filter(finding => finding.state !== 'ok')
  assert.equal(wrong.length, 1, JSON.stringify(findings))
  assert.equal(wrong[0]?.state, state)
  assert.equal(code, state === 'fault' ? 1 : 0)
  return wrong[0] as Finding
}

suite('qis doctor', () => {
  test('finds nothing wrong with a set-up that is right', async () => {
    await using site = await setUp()
    const { code, findings } = await examine(site.env)
    assert.equal(code, 0)
    assert.deepEqual([...new Set(findings.map(({ state }) => state))], ['ok'])
    const checks = ['settings', 'data', 'ports', 'upstream', 'clock', 'embedder']
    assert.deepEqual(
      findings.map(({ check }) => check),
      checks,
    )
    assert.match(findings[3]?.found ?? '', /serves llama3, phi4$/)
  })

  test('recognises a sidecar that runs with these settings, and leaves it alone', async () => {
    await using site = await setUp()
    await using running = await startTestSidecar(site.env.QIS_UPSTREAM)
    const env = {
      ...site.env,
      QIS_DATA: running.dataDir,
      QIS_MODE: 'off',
      QIS_DATA_LISTEN: new URL(running.data).host,
      QIS_ADMIN_LISTEN: new URL(running.admin).host,
    }
    const { code, findings } = await examine(env)
    assert.equal(code, 0, JSON.stringify(findings))
    assert.match(findings.find(({ check }) => check === 'ports')?.found ?? '', /is running at/)
    assert.match(findings.find(({ check }) => check === 'database')?.found ?? '', /^whole/)
    assert.equal((await fetch(`${running.admin}/readyz`)).status, 200)
  })

  test('says the same in words, with what to do under it', async () => {
    await using site = await setUp()
    const { out } = await run([], { ...site.env, QIS_UPSTREAM: `http://127.0.0.1:${await freePort()}` })
    assert.match(out, /^FAULT {4}upstream {3}nothing answers at http.*\n {20}→ start the LLM server/m)
  })
})

suite('qis doctor names what is wrong:', () => {
  const cases: [string, 'fault' | 'warning', RegExp, (site: Awaited<ReturnType<typeof setUp>>) => Promise<object>][] = [
    ['a setting with a wrong value', 'fault', /QIS_PROFILE must be one of/, async () => ({ QIS_PROFILE: 'opne' })],
    [
      'a misspelt setting',
      'warning',
      /QIS_PROFLIE is no setting.*did you mean QIS_PROFILE/,
      async () => ({ QIS_PROFLIE: 'open' }),
    ],
    [
      'an LLM server that is not running',
      'fault',
      /nothing answers at .*ECONNREFUSED.*start the LLM server/,
      async () => ({ QIS_UPSTREAM: `http://127.0.0.1:${await freePort()}` }),
    ],
    [
      'an LLM server that is this sidecar',
      'fault',
      /is this sidecar itself/,
      async ({ env }) => ({ QIS_UPSTREAM: `http://localhost:${new URL(`http://${env.QIS_DATA_LISTEN}`).port}` }),
    ],
    [
      'a folder of data that cannot be made',
      'fault',
      /cannot be made \(ENOTDIR\).*QIS_DATA must name/,
      async ({ folder }) => {
        await writeFile(join(folder, 'file'), '')
        return { QIS_DATA: join(folder, 'file', 'data') }
      },
    ],
    [
      'a damaged identity',
      'fault',
      /identity\.key does not hold an Ed25519 key: restore it/,
      async ({ env }) => {
        await mkdir(env.QIS_DATA, { mode: 0o700 })
        await writeFile(join(env.QIS_DATA, 'identity.key'), 'rubbish', { mode: 0o600 })
        return {}
      },
    ],
    [
      'a key that others can read',
      'warning',
      /other users of this machine can read .*receipt\.key.*chmod 600/,
      async ({ env }) => {
        await mkdir(env.QIS_DATA, { mode: 0o700 })
        await writeFile(join(env.QIS_DATA, 'receipt.key'), Buffer.alloc(32, 7).toString('base64'))
        await chmod(join(env.QIS_DATA, 'receipt.key'), 0o644)
        return {}
      },
    ],
    [
      'a folder of data that others can look into',
      'warning',
      /other users of this machine can look into .*data.*chmod 700/,
      async ({ env }) => {
        await mkdir(env.QIS_DATA, { mode: 0o700 })
        await chmod(env.QIS_DATA, 0o755)
        return {}
      },
    ],
    [
      'a damaged database',
      'fault',
      /qis\.db is not a readable database.*restore a backup/,
      async ({ env }) => {
        await mkdir(env.QIS_DATA, { mode: 0o700 })
        await writeFile(join(env.QIS_DATA, 'qis.db'), 'rubbish '.repeat(2_000))
        return {}
      },
    ],
    [
      'an embedder whose model is not there',
      'fault',
      /nowhere/,
      async ({ folder }) => ({ QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: join(folder, 'nowhere') }),
    ],
    [
      'a space that was tampered with',
      'fault',
      /codebook\.bin/,
      async ({ folder }) => {
        const space = join(folder, 'sense-1')
        await cp(join(SPACES, 'sense-1'), space, { recursive: true })
        const bytes = await readFile(join(space, 'codebook.bin'))
        bytes[1000] = (bytes[1000] ?? 0) ^ 1
        await writeFile(join(space, 'codebook.bin'), bytes)
        return { QIS_SPACE: space }
      },
    ],
    [
      'an address to start from that is none',
      'fault',
      /QIS_BOOTSTRAP holds peer\.example:4001.*\/dns4\/peer\.example/,
      async () => ({ QIS_BOOTSTRAP: 'peer.example:4001' }),
    ],
    [
      'a peer to start from that is away',
      'warning',
      /cannot be reached \(ECONNREFUSED\)/,
      async () => ({ QIS_BOOTSTRAP: `/ip4/127.0.0.1/tcp/${await freePort()}` }),
    ],
  ]
  for (const [what, state, expected, breakIt] of cases) {
    test(what, async () => {
      await using site = await setUp()
      const { found, remedy = '' } = await theFinding({ ...site.env, ...(await breakIt(site)) }, state)
      assert.match(`${found} → ${remedy}`, expected)
    })
  }

  const servers: [string, 'fault' | 'warning', RegExp, RequestListener][] = [
    [
      'a server that is no LLM server',
      'warning',
      /not as an OpenAI-compatible server does \(404/,
      (_request, response) => response.writeHead(404).end('<html></html>'),
    ],
    [
      'a server whose models cannot be known',
      'warning',
      /wants a key \(401\).*no outcome of theirs leaves.*QIS_UPSTREAM="http:\S+ MODEL"/,
      (_request, response) => response.writeHead(401).end(),
    ],
    ['an LLM server in trouble', 'fault', /answers with 503/, (_request, response) => response.writeHead(503).end()],
    [
      'a clock that is wrong',
      'fault',
      /72\d\d s ahead of .*NTP/,
      (request, response) => {
        response.setHeader('date', new Date(Date.now() - 7_200_000).toUTCString())
        models(request, response as Parameters<RequestListener>[1])
      },
    ],
  ]
  for (const [what, state, expected, answer] of servers) {
    test(what, async () => {
      await using site = await setUp()
      await using server = await listening(createServer(answer))
      const env = { ...site.env, QIS_UPSTREAM: `http://127.0.0.1:${server.port}` }
      const { found, remedy = '' } = await theFinding(env, state)
      assert.match(`${found} → ${remedy}`, expected)
    })
  }

  test('a server that wants a key, but not where its models are named or nothing is shared', async () => {
    await using site = await setUp()
    await using server = await listening(createServer((_request, response) => response.writeHead(401).end()))
    const url = `http://127.0.0.1:${server.port}`
    for (const settings of [{ QIS_UPSTREAM: `${url} llama3` }, { QIS_UPSTREAM: url, QIS_MODE: 'receive' }]) {
      const { findings } = await examine({ ...site.env, ...settings })
      assert.match(findings.find(({ check }) => check === 'upstream')?.found ?? '', /which clients bring along/)
    }
  })

  test('a certificate that nobody trusts, and not once its authority is named', async () => {
    await using site = await setUp()
    const [key, cert] = await Promise.all(
      ['server.key', 'server.pem'].map(name => readFile(join(FIXTURES, 'tls', name))),
    )
    await using server = await listening(createTlsServer({ key, cert } as object, models))
    const env = { ...site.env, QIS_UPSTREAM: `https://localhost:${server.port}` }
    const { found, remedy = '' } = await theFinding(env, 'fault')
    assert.match(`${found} → ${remedy}`, /nobody trusts.*QIS_UPSTREAM_CA/)
    const trusting = await examine({ ...env, QIS_UPSTREAM_CA: join(FIXTURES, 'tls/ca.pem') })
    assert.equal(trusting.code, 0, JSON.stringify(trusting.findings))
  })

  test('a port that another program holds', async () => {
    await using site = await setUp()
    await using other = await listening(createServer((_request, response) => response.end('hello')))
    for (const name of ['QIS_DATA_LISTEN', 'QIS_ADMIN_LISTEN']) {
      const { found, remedy = '' } = await theFinding({ ...site.env, [name]: `127.0.0.1:${other.port}` }, 'fault')
      assert.match(found, /another program listens on/)
      assert.match(remedy, new RegExp(name))
    }
  })
})
