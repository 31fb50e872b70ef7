/** Nodes that everybody calls: they take in who comes, and keep those they need. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { routingKey, toTopic } from '../../../router/keyspace.ts'
import type { NetworkEvent } from '../../../router/network/events.ts'
import type { Libp2pNetwork } from '../../../router/network/libp2p.ts'
import { DHT_PROTOCOL, type Node } from '../../../router/network/node.ts'
import { startRelay } from '../../../router/network/relay.ts'
import { publishUntilHeard, recorder } from '../../contracts/network.ts'
import { until } from '../../support/poll.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { addressOf, createLibp2pSwarm, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const GRACE_MS = 300
/** Of eight connections others may open six, of which one is to be free. */
const SMALL = { maxConnections: 8, graceMs: GRACE_MS }

/** Peers that dial `network` one after the other, as clients of the DHT, which nobody counts among the nearest. */
async function callers(network: Libp2pNetwork) {
  const stack = new AsyncDisposableStack()
  const all = new Map<string, Node>()
  return {
    again: (id: string) => all.get(id)?.dial(addressOf(network)),
    async call({ subscribed = false } = {}): Promise<string> {
      const caller = stack.use(await startBareNode({ dhtMode: 'client' }))
      if (subscribed) caller.services.pubsub.subscribe(toTopic(key))
      await caller.dial(addressOf(network))
      const id = caller.peerId.toString()
      all.set(id, caller)
      await until('it to be there', () => network.status().peers.includes(id))
      // libp2p dates connections in whole milliseconds
      await setTimeout(5)
      return id
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

suite('a node with little room', () => {
  test('brings a whole swarm together that starts from it alone', async () => {
    await using swarm = createLibp2pSwarm()
    const events: NetworkEvent[] = []
    const observer = { networkEvent: (event: NetworkEvent) => void events.push(event) }
    const hub = await swarm.add(recorder(), { maxConnections: 8, graceMs: 3_000, observer })
    const pairs = Array.from({ length: 4 }, (_, number) => ({ key: routingKey('0123abcd', 'legal', number) }))
    const heard = pairs.map(() => recorder())
    for (const [number, pair] of pairs.entries()) {
      const listener = await swarm.add(heard[number] ?? assert.fail())
      listener.join(pair.key)
    }
    for (const [number, pair] of pairs.entries()) {
      const author = await swarm.add(recorder())
      author.join(pair.key)
      await publishUntilHeard(author, pair.key, heard[number] ?? assert.fail())
    }
    assert.ok(events.includes('connection_trimmed'), 'the hub has let somebody go')
    assert.ok(hub.status().peers.length <= 8)
  })

  test('lets go of those that are of no use, and of these the youngest, for a while', async () => {
    await using swarm = createLibp2pSwarm()
    const events: NetworkEvent[] = []
    const observer = { networkEvent: (event: NetworkEvent) => void events.push(event) }
    const network = await swarm.add(recorder(), { ...SMALL, bootstrap: [], observer })
    network.join(key)
    await using visitors = await callers(network)
    const useful = [await visitors.call({ subscribed: true })]
    const old = [await visitors.call(), await visitors.call()]
    useful.push(await visitors.call({ subscribed: true }))
    const young = await visitors.call()
    const settled = (...expected: string[]) =>
      until(`${expected.length} to be left`, () => {
        const peers = new Set(network.status().peers)
        return peers.size === expected.length && expected.every(id => peers.has(id))
      })
    await settled(...useful, ...old, young)
    useful.push(await visitors.call({ subscribed: true }))
    await settled(...useful, ...old)
    // who was let go finds no place now, though one is free; it may not know yet that it was
    assert.ok(!events.includes('connection_full'))
    await until('it to be turned away', async () => {
      await visitors.again(young)?.catch(() => {})
      return events.includes('connection_full')
    })
    await settled(...useful, ...old)
    useful.push(await visitors.call({ subscribed: true }))
    await settled(...useful, ...old.slice(0, 1))
    // where all are of use, the youngest of them
    useful.push(await visitors.call({ subscribed: true }))
    await settled(...useful)
    await visitors.call({ subscribed: true })
    await settled(...useful)
  })

  test('lets nobody go who has come just now, nor a peer that it was told to stay connected to', async () => {
    await using swarm = createLibp2pSwarm()
    const events: NetworkEvent[] = []
    const observer = { networkEvent: (event: NetworkEvent) => void events.push(event) }
    const hub = await swarm.add(recorder())
    const network = await swarm.add(recorder(), { ...SMALL, graceMs: 600_000, bootstrap: [], observer })
    await using visitors = await callers(network)
    const came: string[] = []
    for (let count = 0; count < 6; count += 1) came.push(await visitors.call())
    await setTimeout(2_500)
    assert.deepEqual(network.status().peers.toSorted(), came.toSorted())

    const bootstrap = hub.status().addresses
    const impatient = await swarm.add(recorder(), { ...SMALL, graceMs: 0, maxConnections: 1, bootstrap, observer })
    await until('it to be there', () => impatient.status().peers.includes(hub.status().id))
    await setTimeout(2_500)
    assert.deepEqual(impatient.status().peers, [hub.status().id])
    assert.ok(!events.includes('connection_trimmed'))
  })

  test('lets a peer of earlier days go, like any other', async () => {
    await using folder = await tempFolder()
    const addressBook = join(folder.path, 'peers.txt')
    await using swarm = createLibp2pSwarm()
    // which nobody counts among the nearest
    const friend = await swarm.add(recorder(), { dhtMode: 'client' })
    await writeFile(addressBook, friend.status().addresses.join('\n'))
    const events: NetworkEvent[] = []
    const observer = { networkEvent: (event: NetworkEvent) => void events.push(event) }
    await swarm.add(recorder(), { ...SMALL, graceMs: 0, maxConnections: 1, bootstrap: [], addressBook, observer })
    await until('it to be let go', () => events.includes('connection_trimmed'), { deadlineMs: 20_000, everyMs: 20 })
  })

  test('keeps who was there when many come, however busy they are', async () => {
    await using swarm = createLibp2pSwarm()
    const network = await swarm.add(recorder(), { ...SMALL, graceMs: 2_000, bootstrap: [] })
    await using visitors = await callers(network)
    const old: string[] = []
    for (let count = 0; count < 5; count += 1) old.push(await visitors.call())
    await setTimeout(2_100)
    await using rush = new AsyncDisposableStack()
    let letIn = 0
    for (const end = performance.now() + 6_000; performance.now() < end; ) {
      const visitor = rush.use(await startBareNode({ dhtMode: 'client' }))
      const signal = AbortSignal.timeout(1_000)
      const isIn = await visitor.dialProtocol(addressOf(network), DHT_PROTOCOL, { signal }).catch(() => undefined)
      if (isIn !== undefined) letIn += 1
    }
    assert.ok(letIn > 0, 'one place is free')
    assert.deepEqual(new Set(old).difference(new Set(network.status().peers)), new Set())
  })
})

test('a relay with little room keeps those that have a place', async () => {
  const privateKey = await generateKeyPair('Ed25519')
  const listen = ['/ip4/127.0.0.1/tcp/0']
  await using relay = await startRelay({ privateKey }, { listen, maxConnections: 8, graceMs: GRACE_MS })
  await using swarm = createLibp2pSwarm()
  const site = await swarm.add(recorder(), { listen: [], relays: relay.addresses, bootstrap: [] })
  await until('it to have a place', () => site.status().addresses.some(address => address.includes('/p2p-circuit')))
  await using visitors = new AsyncDisposableStack()
  const [address = ''] = relay.addresses
  for (let count = 0; count < 12; count += 1) {
    const visitor = visitors.use(await startBareNode({ dhtMode: 'client' }))
    await until('it to be let in', () => visitor.dial(multiaddr(address)).catch(() => undefined))
  }
  await until('room to be made', () => relay.status().peers <= 5)
  assert.equal(relay.status().places, 1)
  assert.equal(site.status().peers.length, 1)
})
