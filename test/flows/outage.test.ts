/** A network that cannot start, and one whose thread dies: requests pass meanwhile, and nothing that was learnt is lost. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import type { Command } from '../../cli/command.ts'
import { doctor } from '../../cli/commands/doctor.ts'
import { status } from '../../cli/commands/status.ts'
import { answering, ask } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { freePort } from '../support/ports.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

/** What was published to nobody is sent again after a minute. */
const PATIENCE = { deadlineMs: 150_000, everyMs: 20 }

/** A port that somebody else listens on until it is let go. */
async function taken() {
  const port = await freePort()
  const server = createServer(socket => void socket.destroy()).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (server.listening) await once(server.close(), 'close')
    },
  }
}

async function told(command: Command, args: string[], { data, admin }: TestSidecar, settings: Record<string, string>) {
  const out = new PassThrough()
  const said = text(out)
  const env = {
    QIS_CONFIG: 'off',
    QIS_DATA_LISTEN: new URL(data).host,
    QIS_ADMIN_LISTEN: new URL(admin).host,
    ...settings,
  }
  const io = { out, err: new PassThrough(), env, signal: new AbortController().signal }
  await command.run(args, io).finally(() => out.end())
  return said
}

const scraped = async ({ admin }: TestSidecar) => (await fetch(`${admin}/metrics`)).text()
const failedStarts = async (site: TestSidecar) =>
  Number(/^qis_network_events_total\{reason="start_failed"\} (\d+)$/m.exec(await scraped(site))?.[1] ?? 0)
const standing = ({ sidecar }: TestSidecar) => sidecar.router.status()

async function rate(site: TestSidecar): Promise<void> {
  const { requestId } = await ask(site)
  const response = await postFeedback(site.data, { request_id: requestId, rating: 'up' })
  assert.equal(response.status, 202, await response.text())
}

/** A site that asks the same kind of question as the others, and takes what they say. */
async function neighbourOf(site: TestSidecar, upstream: string): Promise<TestSidecar> {
  const QIS_BOOTSTRAP = standing(site).addresses.join(',')
  const neighbour = await startTestSidecar(upstream, { QIS_MODE: 'receive', QIS_BOOTSTRAP })
  await ask(neighbour)
  return neighbour
}

suite('a port of the network that is taken at the start', () => {
  test('keeps nobody from being served, is told everywhere, and is taken up when it is free', async () => {
    await using upstream = await answering()
    await using other = await taken()
    const address = `/ip4/127.0.0.1/tcp/${other.port}`
    await using site = await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_P2P_LISTEN: address })
    await rate(site)
    await until('a second attempt', async () => (await failedStarts(site)) >= 2, PATIENCE)
    assert.match(await scraped(site), /^qis_network_up 0$/m)
    const { networkUp, outage, keys } = standing(site)
    assert.equal(networkUp, false)
    assert.match(outage?.problem ?? '', new RegExp(`${address}.*EADDRINUSE`))
    assert.ok(outage !== undefined && outage.failures >= 2 && outage.retryAt > Date.now() / 1000 - 1)
    assert.deepEqual(
      await (await fetch(`${site.admin}/qis/ledger`)).json(),
      { entries: [] },
      'nothing seems to have left',
    )
    const settings = { QIS_UPSTREAM: upstream.url, QIS_DATA: site.dataDir, QIS_P2P_LISTEN: address }
    assert.match(await told(doctor, [], site, settings), /FAULT +swarm +cannot listen on .*EADDRINUSE/)
    assert.match(await told(status, [], site, settings), /^network +DOWN: cannot listen on .*tried \d+ times/m)

    await other[Symbol.asyncDispose]()
    await until('the network', () => standing(site).networkUp, PATIENCE)
    assert.match(await scraped(site), /^qis_network_up 1$/m)
    assert.deepEqual([standing(site).outage, standing(site).keys], [undefined, keys])
    assert.ok(keys > 0, 'what was asked meanwhile is joined')
    await using neighbour = await neighbourOf(site, upstream.url)
    await until('what was learnt meanwhile', () => standing(neighbour).evidence === 1, PATIENCE)
  })

  test('is let alone once the sidecar is stopped', async () => {
    await using upstream = await answering()
    await using other = await taken()
    const QIS_P2P_LISTEN = `/ip4/127.0.0.1/tcp/${other.port}`
    const site = await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_P2P_LISTEN })
    const { outage } = standing(site)
    await site[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    const server = createServer(socket => void socket.destroy())
    const due = 1_000 * ((outage?.retryAt ?? 0) + 1)
    await until('the next attempt to be due', () => Date.now() > due)
    await once(server.listen(other.port, '127.0.0.1'), 'listening')
    await once(server.close(), 'close')
  })
})

suite('the thread of the network', () => {
  test('may die: requests pass, and it comes back with what was joined and with what was to leave', async () => {
    await using upstream = await answering()
    const threads: Worker[] = []
    const note = (message: unknown) => void threads.push((message as { worker: Worker }).worker)
    subscribe('worker_threads', note)
    await using _ = { [Symbol.asyncDispose]: async () => void unsubscribe('worker_threads', note) }
    const port = await freePort()
    const settings = { QIS_MODE: 'share', QIS_P2P_THREAD: 'on', QIS_P2P_LISTEN: `/ip4/127.0.0.1/tcp/${port}` }
    await using site = await startTestSidecar(upstream.url, settings)
    const living = () => threads.filter(({ threadName }) => threadName === 'qis-network').at(-1)
    const first = living()
    assert.ok(first !== undefined, 'the network has a thread')
    await ask(site)
    await using neighbour = await neighbourOf(site, upstream.url)
    await until('them to meet', () => standing(site).peers.length === 1, PATIENCE)
    const { id, keys } = standing(site)

    await first.terminate()
    // a second later there is another
    const outage = await until('it to be noticed', () => standing(site).outage, { everyMs: 1 })
    await rate(site)
    assert.equal(outage.problem, 'the network has ended by itself')
    assert.match(await scraped(site), /^qis_network_events_total\{reason="thread_ended"\} 1$/m)

    await until('the network', () => standing(site).networkUp, PATIENCE)
    assert.notEqual(living(), first)
    assert.deepEqual([standing(site).id, standing(site).keys], [id, keys])
    await until('what was learnt meanwhile', () => standing(neighbour).evidence === 1, PATIENCE)
    // by gossip, or because the neighbour asked: then the next attempt to send it is a minute away
    const { entries } = (await (await fetch(`${site.admin}/qis/ledger`)).json()) as { entries: unknown[] }
    assert.equal(entries.length, 1)
  })
})
