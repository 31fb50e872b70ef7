/** What the admin listener tells of peers and packets, over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Status } from '../../proxy/status.ts'
import { createSwarmKey, writeSwarm } from '../../router/swarm.ts'
import { answering, ask, refused } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

interface Peers {
  total: number
  peers: { id: string; packets: number; handed: { accepted: number } }[]
}
interface Packets {
  total: number
  packets: { author: string; signal: number; cell: string }[]
}

async function get<T>({ admin }: TestSidecar, path: string): Promise<T> {
  return (await (await fetch(admin + path)).json()) as T
}

test('a packet that came is listed with its author, and its author with it', async () => {
  await using upstream = await answering(['chatcmpl-1', 'chatcmpl-2'])
  await using a = await startTestSidecar(upstream.url, { QIS_MODE: 'share' })
  const QIS_BOOTSTRAP = a.sidecar.router.status().addresses.join(',')
  await using b = await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_BOOTSTRAP })
  await until('a peer', () => b.sidecar.router.status().peers.length === 1)
  await ask(a)
  const { requestId } = await ask(b)
  await postFeedback(b.data, { request_id: requestId, rating: 'down' })
  await until('the packet', async () => (await get<Packets>(a, '/qis/packets')).total === 1, { deadlineMs: 150_000 })

  const { packets } = await get<Packets>(a, '/qis/packets')
  const { id } = b.sidecar.router.status()
  const [packet] = packets
  assert.deepEqual([packet?.author, packet?.signal], [id, 0])
  assert.deepEqual(await get<Packets>(a, `/qis/packets?cell=${packet?.cell}&offset=0`), { total: 1, packets })
  assert.deepEqual(await get<Packets>(a, '/qis/packets?offset=1'), { total: 1, packets: [] })
  const { total, peers } = await get<Peers>(a, '/qis/peers')
  assert.deepEqual([total, peers[0]?.id, peers[0]?.packets, peers[0]?.handed.accepted], [1, id, 1, 1])
  assert.deepEqual(await get<Peers>(a, '/qis/peers?offset=1'), { total: 1, peers: [] })
})

test('a page or a cell that makes no sense is refused, by name', async () => {
  await using upstream = await answering()
  await using sidecar = await startTestSidecar(upstream.url)
  for (const path of ['/qis/peers', '/qis/packets', '/qis/ledger']) {
    for (const offset of ['-1', '1.5', 'x', '']) {
      await refused(await fetch(`${sidecar.admin}${path}?offset=${offset}`), 422, 'invalid_field', 'offset')
    }
  }
  for (const cell of ['g0', '123', '']) {
    await refused(await fetch(`${sidecar.admin}/qis/packets?cell=${cell}`), 422, 'invalid_field', 'cell')
  }
})

test('the status tells what runs here and what it has done', async () => {
  await using upstream = await answering()
  await using folder = await tempFolder()
  await writeSwarm(folder.path, { key: createSwarmKey(), members: undefined, bootstrap: [] })
  await using sidecar = await startTestSidecar(upstream.url, { QIS_SWARM: folder.path })
  const { requestId } = await ask(sidecar)
  await postFeedback(sidecar.data, { request_id: requestId, rating: 'up' })
  await (await fetch(`${sidecar.data}/v1/models`)).text()
  const { uptimeS, id, version, space, ...status } = await get<Status>(sidecar, '/qis/status')
  assert.ok(uptimeS >= 0 && id.length > 20 && space.id.length === 8)
  assert.match(version, /^\d+\.\d+\.\d+/)
  assert.deepEqual(status, {
    mode: 'off',
    profile: 'open',
    embedder: 'static',
    addresses: [],
    peers: [],
    keys: 0,
    evidence: 1,
    networkUp: false,
    swarm: { closed: true },
    upstreams: [{ origin: upstream.url, up: true, models: [] }],
    unlisted: [],
    requests: { query: 1, other: 1 },
    feedback: { up: 1 },
  })
})
