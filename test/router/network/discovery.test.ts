/** Whom a node gets to know for a key: when most of those who announced it are gone, and when two come at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type RoutingKey, routingKey } from '../../../router/keyspace.ts'
import { createBackground } from '../../../router/network/background.ts'
import { createDiscovery } from '../../../router/network/discovery.ts'
import type { Node } from '../../../router/network/node.ts'
import { recorder } from '../../contracts/network.ts'
import { until } from '../../support/poll.ts'
import { meet, tableOf } from './contacts.ts'
import { addressOf, createLibp2pSwarm, quiet, startBareNode } from './swarm.ts'

const PATIENCE = { deadlineMs: 30_000, everyMs: 20 }
const key = routingKey('0123abcd', 'legal', 42)

/** One that looks for three peers a key, and announces again long after a test. */
function discoveryAt(node: Node, joined: RoutingKey[]) {
  return createDiscovery(
    {
      node,
      background: createBackground({ logger: quiet }, { concurrency: 4, maxWaiting: 4, deadlineMs: 1_000 }),
      joined: new Set(joined),
      subscribers: () => [],
      logger: quiet,
      now: () => performance.now(),
    },
    { peersPerKey: 3, queryDeadlineMs: 10_000, announceMs: 600_000 },
  )
}

test('peers that are gone take no place of those that are there, and no more are called than are wanted', async () => {
  await using node = await startBareNode()
  await using stayers = new AsyncDisposableStack()
  const announced: PeerId[] = []
  for (let count = 0; count < 8; count += 1) {
    const gone = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    // nobody listens there
    await node.peerStore.merge(gone, { multiaddrs: [multiaddr('/ip4/127.0.0.1/tcp/1')] })
    announced.push(gone)
  }
  for (let count = 0; count < 4; count += 1) {
    const stayer = stayers.use(await startBareNode())
    await node.peerStore.merge(stayer.peerId, { multiaddrs: stayer.getMultiaddrs() })
    announced.push(stayer.peerId)
  }
  const contentRouting = {
    async *findProviders() {
      for (const id of announced) yield { id, multiaddrs: [], routing: 'kad-dht' }
    },
  }
  const discovery = discoveryAt(Object.create(node, { contentRouting: { value: contentRouting } }), [])
  assert.equal(await discovery.meet(key, new AbortController().signal), 3)
  assert.equal(node.getPeers().length, 3)
})

test('nobody is looked for before the own announcement was sent, so that of two who come at once one finds the other', async () => {
  await using node = await startBareNode()
  const events: string[] = []
  const contentRouting = {
    async provide() {
      events.push('announce')
      await setTimeout(50)
      events.push('announced')
      throw new Error('to some of them')
    },
    async *findProviders() {
      events.push('look')
      yield* []
    },
  }
  const discovery = discoveryAt(Object.create(node, { contentRouting: { value: contentRouting } }), [key])
  discovery.tend(key)
  await until('it to look', () => events.includes('look'), PATIENCE)
  assert.deepEqual(events, ['announce', 'announced', 'look'])
})

/** A discovery at `node` that notes what it does instead of asking the DHT. */
function noting(node: Node, parts: Record<string, unknown> = {}) {
  const events: string[] = []
  const overlay = {
    contentRouting: { provide: async () => void events.push('announce'), async *findProviders() {} },
    peerRouting: {
      async *getClosestPeers() {
        events.push('look around')
        yield* []
      },
    },
    addEventListener: node.addEventListener.bind(node),
    removeEventListener: node.removeEventListener.bind(node),
    ...parts,
  }
  const discovery = discoveryAt(Object.assign(Object.create(node), overlay), [key])
  discovery.start()
  return { events, [Symbol.dispose]: () => discovery.stop() }
}

test('of two peers that come first at once, both are told of all keys, and asked for others', async () => {
  await using node = await startBareNode()
  await using _peers = await meet(node, 2)
  const peers = node.getPeers()
  const table = tableOf(node)
  using noted = noting(node)
  const { events } = noted
  // both are in the table when kad-dht tells of the first
  for (const detail of peers) table.safeDispatchEvent('peer:add', { detail })
  await until('it to announce', () => events.length === 2, PATIENCE)
  assert.deepEqual(events.toSorted(), ['announce', 'look around'])
  // and once more when all have been away
  for (const peer of peers) await table.remove(peer)
  assert.equal(table.size, 0)
  await Promise.all(peers.map(peer => table.add(peer)))
  await until('it to announce again', () => events.length >= 4, PATIENCE)
})

test('keys are announced anew with each address that was not there before', async () => {
  await using node = await startBareNode()
  const [home, relayed] = [multiaddr('/ip4/127.0.0.1/tcp/1'), multiaddr('/ip4/192.0.2.1/tcp/1/p2p-circuit')]
  let addresses = [home]
  using noted = noting(node, { getMultiaddrs: () => addresses })
  const { events } = noted
  const change = async (now: Multiaddr[], expected: number) => {
    addresses = now
    node.safeDispatchEvent('self:peer:update', { detail: { peer: await node.peerStore.get(node.peerId) } })
    await until('all to be announced', () => events.length >= expected, PATIENCE)
    await setTimeout(50)
    assert.deepEqual(events, Array(expected).fill('announce'))
  }
  await change([home], 0)
  await change([home, relayed], 1)
  await change([relayed, home], 1)
  await change([home], 1)
  await change([home, relayed], 2)
})

test('who has waited for its first peer looks around as soon as it comes', async () => {
  await using swarm = createLibp2pSwarm()
  const late = await swarm.add(recorder())
  await using hub = await startBareNode()
  await using others = new AsyncDisposableStack()
  const [address] = hub.getMultiaddrs()
  assert.ok(address !== undefined)
  const met = new Set([hub.peerId.toString()])
  for (let count = 0; count < 3; count += 1) {
    const other = others.use(await startBareNode())
    await other.dial(address)
    met.add(other.peerId.toString())
  }
  await until('the hub to know all', () => tableOf(hub).size === 3, PATIENCE)
  // in which all would otherwise look around for the first time, and then not for five minutes
  await setTimeout(1_500)
  await hub.dial(addressOf(late))
  await until('the late one to know all', () => met.isSubsetOf(new Set(late.status().peers)), PATIENCE)
})
