/** Whom a node gets to know for a key when most of those who announced it are gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { routingKey } from '../../../router/keyspace.ts'
import { createBackground } from '../../../router/network/background.ts'
import { createDiscovery } from '../../../router/network/discovery.ts'
import { quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)

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
  const discovery = createDiscovery(
    {
      node: Object.create(node, { contentRouting: { value: contentRouting } }),
      background: createBackground({ logger: quiet }, { concurrency: 1, maxWaiting: 1, deadlineMs: 1_000 }),
      joined: new Set(),
      subscribers: () => [],
      logger: quiet,
      now: () => performance.now(),
    },
    { peersPerKey: 3, queryDeadlineMs: 10_000, announceMs: 60_000 },
  )
  assert.equal(await discovery.meet(key, new AbortController().signal), 3)
  assert.equal(node.getPeers().length, 3)
})
