/** Exceptions that nobody caught, in a process as it is in real life. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type SidecarProcess, startFlags, startSidecar } from '../../demo/sidecar-process.ts'
import { isOfNetwork } from '../../proxy/faults.ts'
import { answering } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { tempFolder } from '../support/temp-folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const PATIENCE = { deadlineMs: 60_000, everyMs: 20 }

async function startFaulty(upstream: string, settings: Record<string, string> = {}) {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const program = [process.execPath, ...startFlags(), '--import', './test/fixtures/fault.mjs', 'proxy/main.ts']
  const site = await startSidecar({ QIS_UPSTREAM: upstream, QIS_DATA: folder.path, ...settings }, [], program)
  parts.use(site)
  return Object.assign(parts, { site })
}

const status = async ({ admin }: SidecarProcess) =>
  (await (await fetch(`${admin}/qis/status`)).json()) as { networkUp: boolean; peers: string[] }

const scraped = async ({ admin }: SidecarProcess) => (await fetch(`${admin}/metrics`)).text()

async function asks({ data }: SidecarProcess): Promise<number> {
  const response = await fetch(`${data}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'What is the capital of Portugal?' }] }),
  })
  await response.arrayBuffer()
  return response.status
}

suite('an exception that nobody caught', () => {
  for (const thread of ['off', 'on']) {
    test(`in libp2p ends the network, which comes back, and no request (network in a thread: ${thread})`, async () => {
      await using upstream = await answering()
      await using faulty = await startFaulty(upstream.url, { QIS_P2P_THREAD: thread })
      const { site } = faulty
      await using other = await startFaulty(upstream.url, { QIS_BOOTSTRAP: site.addresses.join(',') })
      await until('them to meet', async () => (await status(site)).peers.length === 1, PATIENCE)

      const answers: Promise<number>[] = []
      const asking = setInterval(() => answers.push(asks(site)), 50)
      try {
        site.child.kill('SIGUSR2')
        const logged = (text: string) => site.log.some(line => line.includes(text))
        await until('the network to end', () => logged('the network has ended'), PATIENCE)
        await until('it to come back', () => logged('the network is up again'), PATIENCE)
        await until('it to be up', async () => (await status(site)).networkUp, PATIENCE)
        assert.match(await scraped(site), /reason="fault"\} 1$/m)
      } finally {
        clearInterval(asking)
      }
      assert.deepEqual(new Set(await Promise.all(answers)), new Set([200]))
      assert.ok(answers.length > 10)
      assert.equal(site.child.exitCode, null)
      assert.ok(site.log.some(line => line.includes('the network has a fault') && line.includes('@libp2p/peer-id')))
      assert.equal(other.site.child.exitCode, null)
    })
  }

  test('elsewhere ends the process, and is told', async () => {
    await using upstream = await answering()
    await using faulty = await startFaulty(upstream.url)
    const { child, log } = faulty.site
    const closed = once(child, 'close')
    child.kill('SIGWINCH')
    const [code] = await closed
    assert.equal(code, 1)
    assert.ok(log.some(line => line.includes('qis-sidecar: Error: a fault of its own')))
  })
})

test('whose fault it is shows in the places that it passed', () => {
  const at = (...places: string[]) => {
    const error = new Error('a fault')
    error.stack = ['Error: a fault', ...places.map(place => `    at some.function (${place}:12:34)`)].join('\n')
    return error
  }
  const library = `file://${ROOT}/node_modules/@libp2p/kad-dht/dist/src/network.js`
  const hoisted = '/usr/lib/node_modules/@chainsafe/libp2p-noise/dist/src/utils.js'
  const between = `file://${ROOT}/router/network/gossip.ts`
  assert.ok(isOfNetwork(at(library)))
  assert.ok(isOfNetwork(at('node:internal/timers', hoisted)))
  assert.ok(isOfNetwork(at(between, library)))
  assert.ok(isOfNetwork(at(between)))
  assert.ok(!isOfNetwork(at(library, `file://${ROOT}/router/router.ts`)))
  assert.ok(!isOfNetwork(at(`${ROOT}/proxy/exchange.ts`, between)))
  assert.ok(!isOfNetwork(at('node:internal/timers', `file://${ROOT}/node_modules/fastify/fastify.js`)))
  assert.ok(!isOfNetwork(at()))
  assert.ok(!isOfNetwork('a text'))

  const root = '/usr/lib/node_modules/qis-sidecar/dist/'
  assert.ok(isOfNetwork(at(`file://${root}router/network/gossip.js`, hoisted), root))
  assert.ok(!isOfNetwork(at(hoisted, `file://${root}router/router.js`), root))
  assert.ok(!isOfNetwork(at(`file://${root}proxy/exchange.js`, `file://${root}node_modules/undici/index.js`), root))
})
