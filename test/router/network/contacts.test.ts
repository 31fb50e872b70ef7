/** That peers which have gone leave little behind: counts of what is kept, and no large buffer kept for a few bytes of it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PeerId } from '@libp2p/interface'
import { routingKey, toCid } from '../../../router/keyspace.ts'
import { tendContacts } from '../../../router/network/contacts.ts'
import type { Node } from '../../../router/network/node.ts'
import { until } from '../../support/poll.ts'
import { quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const PATIENCE = { deadlineMs: 30_000, everyMs: 20 }

interface Near {
  peer: { id: PeerId }
  distance: Uint8Array
}
interface Table {
  size: number
  kb: { toIterable(): Iterable<{ peerId: PeerId; kadId: Uint8Array }> }
  closestPeerTagger: { newPeers: { peerDistances: Near[] } }
}

function tableOf(node: Node): Table {
  return (node.services.dht as unknown as { routingTable: Table }).routingTable
}

async function startTended() {
  const node = await startBareNode()
  tendContacts({ node, logger: quiet })
  return node
}

/** Lets so many peers be met by `node`, one after the other, and go again. */
async function comeAndGo(node: Node, count: number): Promise<void> {
  const [address] = node.getMultiaddrs()
  assert.ok(address !== undefined)
  for (let number = 0; number < count; number += 1) {
    await using passer = await startBareNode()
    const before = tableOf(node).size
    await passer.dial(address)
    await until('it to be met', () => tableOf(node).size > before, PATIENCE)
  }
  await until('them to be gone', () => node.getPeers().length <= 1, PATIENCE)
}

suite('contacts', () => {
  test('are kept in no more memory than they fill', async () => {
    await using node = await startTended()
    await comeAndGo(node, 5)
    const { kb, closestPeerTagger } = tableOf(node)
    const kept = [...kb.toIterable()].flatMap(({ peerId, kadId }) => [peerId.toMultihash().bytes, kadId])
    const near = closestPeerTagger.newPeers.peerDistances
    const parts = [...kept, ...near.flatMap(({ peer, distance }) => [peer.id.toMultihash().bytes, distance])]
    assert.equal(parts.length, 20)
    for (const { buffer } of parts) assert.ok(buffer.byteLength <= 64, `a buffer of ${buffer.byteLength} bytes`)
  })

  test('that have gone are dropped when a look-up finds them away', async () => {
    await using node = await startTended()
    await using stayer = await startBareNode()
    const [address] = node.getMultiaddrs()
    await stayer.dial(address ?? [])
    await until('it to be met', () => tableOf(node).size === 1, PATIENCE)
    await comeAndGo(node, 8)
    assert.equal(tableOf(node).size, 9)
    await Array.fromAsync(node.contentRouting.findProviders(toCid(key)))
    await until('them to be dropped', () => tableOf(node).size === 1, PATIENCE)
    const near = tableOf(node).closestPeerTagger.newPeers.peerDistances.map(({ peer }) => peer.id.toString())
    assert.deepEqual(near, [stayer.peerId.toString()])
  })

  test('stay while it is the node itself that is cut off', async () => {
    await using node = await startTended()
    await comeAndGo(node, 3)
    await until('it to be alone', () => node.getPeers().length === 0, PATIENCE)
    await Array.fromAsync(node.contentRouting.findProviders(toCid(key)))
    assert.equal(tableOf(node).size, 3)
  })
})
