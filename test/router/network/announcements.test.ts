/** That keys are announced once to each that comes, bit by bit, no more once they are left, and anew once somebody can come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { type RoutingKey, routingKey, toCid } from '../../../router/keyspace.ts'
import { startRelay } from '../../../router/network/relay.ts'
import { recorder } from '../../contracts/network.ts'
import { until } from '../../support/poll.ts'
import { addressOf, createLibp2pSwarm, startBareNode } from './swarm.ts'

const KEYS = Array.from({ length: 12 }, (_, cell) => routingKey('0123abcd', 'legal', cell))
const ANNOUNCE_MS = 64_000
const SPREAD_MS = ANNOUNCE_MS / 16
/** Before the earliest round that comes by itself, which would tell all of them too. */
const PATIENCE = { deadlineMs: ANNOUNCE_MS / 2, everyMs: 20 }

interface Message {
  type: string
  key?: Uint8Array
  providers: { multiaddrs: Uint8Array[] }[]
}

/** A peer that notes when it is told of which key, and with which addresses. */
async function listener() {
  const node = await startBareNode()
  const told: { key: RoutingKey; at: number; addresses: string[] }[] = []
  const names = new Map(KEYS.map(key => [Buffer.from(toCid(key).multihash.bytes).toString('hex'), key]))
  type Rpc = { handleMessage(peer: PeerId, message: Message): Promise<unknown> }
  const { rpc } = node.services.dht as unknown as { rpc: Rpc }
  const handleMessage = rpc.handleMessage.bind(rpc)
  rpc.handleMessage = (peer, message) => {
    const key = names.get(Buffer.from(message.key ?? []).toString('hex'))
    if (message.type === 'ADD_PROVIDER' && key !== undefined) {
      const addresses = message.providers[0]?.multiaddrs.map(bytes => multiaddr(bytes).toString()) ?? []
      told.push({ key, at: performance.now(), addresses })
    }
    return handleMessage(peer, message)
  }
  return Object.assign(node, { told })
}

const keysOf = (told: { key: RoutingKey }[]) => told.map(({ key }) => key).sort()
const passed = async (ms: number) => {
  const then = performance.now() + ms
  await until('time to pass', () => performance.now() > then, PATIENCE)
}

test('the first peer is told of all keys at once, later ones bit by bit, and nobody of what was left', async () => {
  await using swarm = createLibp2pSwarm()
  const site = await swarm.add(recorder(), { announceMs: ANNOUNCE_MS })
  for (const key of KEYS) site.join(key)
  await using first = await listener()
  await first.dial(addressOf(site))
  await until('the first to know', () => new Set(keysOf(first.told)).size === KEYS.length, PATIENCE)
  // a peer that comes sooner than that is told with the next round
  await passed(SPREAD_MS + 500)

  await using second = await listener()
  await second.dial(addressOf(site))
  await until('the second to know', () => second.told.length >= KEYS.length, PATIENCE)
  assert.deepEqual(keysOf(second.told), [...KEYS].sort(), 'each once')
  const times = second.told.map(({ at }) => at)
  const took = Math.max(...times) - Math.min(...times)
  assert.ok(took > SPREAD_MS / 4, `all of it within ${took} ms`)

  const [left, ...kept] = KEYS
  assert.ok(left !== undefined)
  site.leave(left)
  await passed(SPREAD_MS + 500)
  await using third = await listener()
  await third.dial(addressOf(site))
  await until('the third to know', () => third.told.length >= kept.length, PATIENCE)
  await passed(SPREAD_MS / 4)
  assert.deepEqual(keysOf(third.told), kept.sort())
})

for (const [where, listen] of [
  ['nowhere', []],
  ['where nobody else comes', ['/ip4/127.0.0.1/tcp/0']],
] as const) {
  test(`a node that listens ${where} announces its keys again once it has a place at a relay`, async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const [relayAddress] = await (async () => {
      await using before = await startRelay({ privateKey }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
      return before.addresses
    })()
    assert.ok(relayAddress !== undefined)
    await using swarm = createLibp2pSwarm()
    await using other = await listener()
    const bootstrap = other.getMultiaddrs().map(String)
    const relays = [relayAddress]
    const site = await swarm.add(recorder(), { announceMs: ANNOUNCE_MS, listen: [...listen], relays, bootstrap })
    for (const key of KEYS) site.join(key)
    const keysTold = (withPlace: boolean) =>
      new Set(
        keysOf(other.told.filter(({ addresses }) => addresses.some(one => one.includes('/p2p-circuit')) === withPlace)),
      ).size
    await until('the other to know', () => keysTold(false) === KEYS.length, PATIENCE)
    assert.equal(keysTold(true), 0)
    await using _relay = await startRelay({ privateKey }, { listen: [relayAddress.replace(/\/p2p\/.*/, '')] })
    await until('it to know where to go', () => keysTold(true) === KEYS.length, PATIENCE)
  })
}
