/** That peers which have gone leave little behind: counts of what is kept, and no large buffer kept for a few bytes of it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { PeerId, PeerInfo } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { routingKey, toCid } from '../../../router/keyspace.ts'
import { tendContacts } from '../../../router/network/contacts.ts'
import { stayNear } from '../../../router/network/nearest.ts'
import type { Node, NodeOptions } from '../../../router/network/node.ts'
import { DEFAULTS } from '../../../router/network/options.ts'
import { until } from '../../support/poll.ts'
import { meet, NEAR, tableOf, untilMet } from './contacts.ts'
import { quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const PATIENCE = { deadlineMs: 30_000, everyMs: 20 }

function networkOf(node: Node) {
  type Network = { safeDispatchEvent(type: string, event: { detail: PeerInfo }): boolean }
  return (node.services.dht as unknown as { network: Network }).network
}

const infoOf = (id: PeerId, port: number): PeerInfo => ({ id, multiaddrs: [multiaddr(`/ip4/192.0.2.1/tcp/${port}`)] })

async function startTended(options: Partial<NodeOptions> = {}) {
  const settings = { ...DEFAULTS, ...options }
  return startBareNode(options, node => {
    tendContacts({ node, logger: quiet }, settings)
    stayNear({ node, logger: quiet }, settings)
  })
}

suite('contacts', () => {
  test('are kept in no more memory than they fill', async () => {
    await using node = await startTended()
    await using _peers = await meet(node, 5)
    const kept = [...tableOf(node).kb.toIterable()]
    const parts = kept.flatMap(({ peerId, kadId }) => [peerId.toMultihash().bytes, kadId])
    assert.equal(parts.length, 10)
    for (const { buffer } of parts) assert.ok(buffer.byteLength <= 64, `a buffer of ${buffer.byteLength} bytes`)
  })

  test('that have gone are dropped when look-ups find them away', async () => {
    await using node = await startTended()
    await using _stayer = await meet(node, 1)
    await using goers = await meet(node, 8)
    assert.equal(tableOf(node).size, 9)
    await goers.disposeAsync()
    const look = async () => {
      await Array.fromAsync(node.contentRouting.findProviders(toCid(key)))
      return tableOf(node).size === 1
    }
    await until('them to be dropped', look, PATIENCE)
  })

  test('that were near, and do not come back, are dropped though nobody looks', async () => {
    await using node = await startTended({ reconnectMs: 20 })
    await using _stayer = await meet(node, 1)
    await using goers = await meet(node, 4)
    const near = async () => (await node.peerStore.all()).filter(({ tags }) => tags.has(NEAR)).length
    await until('them to be near', async () => (await near()) === 5, PATIENCE)
    await goers.disposeAsync()
    await until('them to be dropped', () => tableOf(node).size === 1, PATIENCE)
    assert.equal(node.getPeers().length, 1)
    // kad-dht looks every five seconds whom to tag as near
    await setTimeout(6_000)
    assert.equal((await node.peerStore.all()).length, 1)
  })

  test('are taken up once, however often they are named, unless they have moved or were dropped', async () => {
    await using node = await startTended()
    await using peers = await meet(node, 4)
    const takenUp: string[] = []
    const dht = node.services.dht as unknown as EventTarget
    dht.addEventListener('peer', event => takenUp.push((event as CustomEvent<PeerInfo>).detail.id.toString()))
    const named = new Set<string>()
    const onProgress = ({ type, detail }: { type: string; detail?: unknown }) => {
      if (type !== 'kad-dht:query:peer-response') return
      for (const { id } of (detail as { closer: PeerInfo[] }).closer) named.add(id.toString())
    }
    await Array.fromAsync(node.contentRouting.findProviders(toCid(key), { onProgress }))
    takenUp.length = 0
    await Array.fromAsync(node.contentRouting.findProviders(toCid(key), { onProgress }))
    assert.ok(named.size > 0, 'the peers name each other')
    assert.deepEqual(takenUp, [])

    const [peer] = node.getPeers()
    assert.ok(peer !== undefined)
    const name = (port: number) => networkOf(node).safeDispatchEvent('peer', { detail: infoOf(peer, port) })
    name(4001)
    name(4001)
    assert.deepEqual(takenUp, [String(peer)])
    name(4002)
    assert.equal(takenUp.length, 2)
    await peers.disposeAsync()
    await tableOf(node).remove(peer)
    name(4002)
    assert.equal(takenUp.length, 3)
  })

  test('are called when somebody names them, while the node has not called enough', async () => {
    // others may open six
    await using node = await startTended({ maxConnections: 8 })
    await using peers = await meet(node, 4)
    const named = async () => {
      const stranger = peers.use(await startBareNode())
      const info = { id: stranger.peerId, multiaddrs: stranger.getMultiaddrs() }
      networkOf(node).safeDispatchEvent('peer', { detail: info })
      return stranger
    }
    await untilMet(node, (await named()).peerId)
    await untilMet(node, (await named()).peerId)
    const stranger = await named()
    await setTimeout(500)
    assert.equal(stranger.getConnections().length, 0)
    // one who calls is taken up all the same
    const [address] = node.getMultiaddrs()
    assert.ok(address !== undefined)
    await stranger.dial(address)
    await untilMet(node, stranger.peerId)
  })

  test('are remembered up to a bound', async () => {
    await using node = await startTended({ maxRecords: 4 })
    await using goers = await meet(node, 8)
    await goers.disposeAsync()
    // it remembers itself as well
    assert.ok((await node.peerStore.all()).length <= 4)
  })

  test('stay while it is the node itself that is cut off', async () => {
    await using node = await startTended()
    await using goer = await meet(node, 1)
    await goer.disposeAsync()
    await until('it to be alone', () => node.getPeers().length === 0, PATIENCE)
    await Array.fromAsync(node.contentRouting.findProviders(toCid(key)))
    assert.equal(tableOf(node).size, 1)
  })
})
