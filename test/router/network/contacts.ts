/** Peers that a node has in its DHT table. */
import assert from 'node:assert/strict'
import type { PeerId } from '@libp2p/interface'
import type { Node } from '../../../router/network/node.ts'
import { until } from '../../support/poll.ts'
import { startBareNode } from './swarm.ts'

/** The mark of peers that a node wants to stay connected to since they are near. */
export const NEAR = 'keep-alive-kad-dht'
const PATIENCE = { deadlineMs: 30_000, everyMs: 20 }

interface Table extends EventTarget {
  size: number
  add(peer: PeerId): Promise<void>
  remove(peer: PeerId): Promise<void>
  safeDispatchEvent(type: string, event: { detail: PeerId }): boolean
  closestPeerTagger: { updatePeerTags(): Promise<void> }
  kb: { localPeer: { kadId: Uint8Array }; toIterable(): Iterable<{ peerId: PeerId; kadId: Uint8Array }> }
}

export function tableOf(node: Node): Table {
  return (node.services.dht as unknown as { routingTable: Table }).routingTable
}

export async function untilMet(node: Node, peer: PeerId): Promise<void> {
  const { kb } = tableOf(node)
  await until('it to be met', () => [...kb.toIterable()].some(({ peerId }) => peerId.equals(peer)), PATIENCE)
}

/** So many peers that `node` has met, until they are disposed of. */
export async function meet(node: Node, count: number): Promise<AsyncDisposableStack> {
  const [address] = node.getMultiaddrs()
  assert.ok(address !== undefined)
  await using peers = new AsyncDisposableStack()
  for (let number = 0; number < count; number += 1) {
    const peer = peers.use(await startBareNode())
    await peer.dial(address)
    await untilMet(node, peer.peerId)
  }
  return peers.move()
}
