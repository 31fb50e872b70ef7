import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { suite, test } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { type StreamMuxer, type StreamMuxerFactory, serviceCapabilities } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { routingKey, toTopic } from '../../../router/keyspace.ts'
import type { NetworkEvent } from '../../../router/network/events.ts'
import type { Libp2pNetworkOptions } from '../../../router/network/libp2p.ts'
import { startRelay } from '../../../router/network/relay.ts'
import { publishUntilHeard, recorder, retry, until, utf8 } from '../../contracts/network.ts'
import { addressOf, createLibp2pSwarm, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)

/** After which the victim hangs up: long enough for an honest handshake on a busy machine. */
const HASTY_MS = 3_000

/** A network that has joined the key, and a peer that honest nodes and hostile ones may compete for. */
async function besieged(options: Libp2pNetworkOptions = {}) {
  const stack = new AsyncDisposableStack()
  const swarm = stack.use(createLibp2pSwarm())
  const events: NetworkEvent[] = []
  const heard = recorder(text => (text.startsWith('bad') ? 'reject' : 'accept'))
  const victim = await swarm.add(heard, { ...options, observer: { networkEvent: event => events.push(event) } })
  victim.join(key)
  return { swarm, victim, heard, events, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

type Besieged = Awaited<ReturnType<typeof besieged>>

/** An honest node finds the victim and is heard, whatever has happened to it. */
async function isWell({ swarm, victim, heard }: Besieged): Promise<void> {
  const honest = await swarm.add(recorder(), { bootstrap: victim.status().addresses })
  honest.join(key)
  await publishUntilHeard(honest, key, heard)
}

/** A peer that opens one stream and writes what it likes. */
async function intruder({ victim }: Besieged, protocol: string) {
  const node = await startBareNode()
  const stream = await node.dialProtocol(addressOf(victim), protocol).catch(async cause => {
    await node.stop()
    throw cause
  })
  return { node, stream, [Symbol.asyncDispose]: async () => node.stop() }
}

const RUBBISH: [string, Uint8Array][] = [
  ['nothing but a length', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)],
  ['a length without end', new Uint8Array(20).fill(0xff)],
  ['an empty frame', Uint8Array.of(0)],
  ['half a frame', Uint8Array.of(100, 1, 2, 3)],
  ['a frame of noise', Uint8Array.of(8, 250, 251, 252, 253, 254, 255, 256, 0)],
  ['a frame that claims a megabyte', Uint8Array.of(0x80, 0x80, 0x40, ...new Uint8Array(1_000))],
  ['a field that is longer than its frame', Uint8Array.of(4, 0x12, 0xff, 0x7f, 1)],
]

/** What a node serves; identify only answers, so it must put up with being told something instead. */
const SERVED = [
  '/meshsub/1.2.0',
  '/qis/kad/1.0.0',
  '/qis/sync/1.0.0',
  '/ipfs/id/1.0.0',
  '/ipfs/ping/1.0.0',
  '/libp2p/circuit/relay/0.2.0/stop',
]
/** What a node asks peers by itself, and so reads the answers to. Gossip has no answers, and nobody is pinged. */
const ASKED = ['/qis/kad/1.0.0', '/qis/sync/1.0.0', '/ipfs/id/1.0.0']

suite('a malformed frame', () => {
  for (const protocol of SERVED) {
    test(`of every kind, on ${protocol}, harms nobody`, async () => {
      await using siege = await besieged()
      for (const [what, bytes] of RUBBISH) {
        await using rogue = await intruder(siege, protocol).catch(cause => assert.fail(`${what}: ${cause}`))
        try {
          rogue.stream.send(bytes)
        } catch {
          // one that answers unasked has closed the stream already
        }
        await rogue.stream.close().catch(() => {})
      }
      await isWell(siege)
      assert.deepEqual(
        siege.heard.texts(key).filter(text => !text.startsWith('hello')),
        [],
      )
    })
  }

  for (const protocol of ASKED) {
    test(`of every kind, as an answer on ${protocol}, harms nobody`, async () => {
      await using siege = await besieged({ pageDeadlineMs: 500, queryDeadlineMs: 1_000, refillMs: 1 })
      for (const [at, [what, bytes]] of RUBBISH.entries()) {
        await using rogue = await startBareNode()
        let answers = 0
        await rogue.unhandle(protocol)
        await rogue.handle(protocol, async stream => {
          stream.send(bytes)
          answers += 1
          await stream.close().catch(() => {})
        })
        rogue.services.pubsub.subscribe(toTopic(key))
        await rogue.dial(addressOf(siege.victim))
        await retry(async () => {
          // that makes it ask the DHT
          await siege.victim.backfill(routingKey('0123abcd', 'legal', at))
          return answers
        }).catch(() => assert.fail(`it has not asked: ${what}`))
      }
      await isWell(siege)
      assert.deepEqual(
        siege.heard.texts(key).filter(text => !text.startsWith('hello')),
        [],
      )
    })
  }

  const handshakes: [string, Uint8Array][] = [
    ['before any protocol', new Uint8Array()],
    ['in the place of encryption', utf8('\u0013/multistream/1.0.0\n\u0007/noise\n')],
  ]
  for (const [where, before] of handshakes) {
    test(`${where}, harms nobody, and is counted`, async () => {
      await using siege = await besieged({ dialDeadlineMs: HASTY_MS })
      const { port, address } = hostOf(siege)
      const callers = RUBBISH.map(([, bytes]) => {
        const socket = connect(port, address)
        socket.write(Buffer.concat([before, bytes]))
        return ended(socket)
      })
      // the victim hangs up by itself, also on who says nothing more
      await Promise.all(callers)
      await until(
        () => siege.events.filter(event => event === 'handshake_failed').length === RUBBISH.length,
        'each is counted',
      )
      await isWell(siege)
    })
  }

  test('in the place of the multiplexer, harms nobody', async () => {
    await using siege = await besieged()
    for (const [, bytes] of RUBBISH) {
      const rogue = await createLibp2p({
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [blurting(bytes)],
        connectionGater: { denyDialMultiaddr: () => false },
        services: { identify: identify({ timeout: 500 }) },
      })
      await rogue.dial(addressOf(siege.victim)).catch(() => {})
      await rogue.stop()
    }
    await isWell(siege)
  })

  test('in the place of the name of a protocol, harms nobody', async () => {
    await using siege = await besieged({ dialDeadlineMs: HASTY_MS })
    await using rogue = await startBareNode()
    const connection = await rogue.dial(addressOf(siege.victim))
    const { muxer } = connection as unknown as { muxer: StreamMuxer }
    for (const [, bytes] of RUBBISH) {
      const stream = await muxer.createStream()
      const closed = once(stream, 'close')
      stream.send(bytes)
      stream.close().catch(() => {})
      await closed
    }
    await isWell(siege)
  })

  test('asked of a relay, harms nobody', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    await using relay = await startRelay({ privateKey }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
    for (const [, bytes] of RUBBISH) {
      await using rogue = await startBareNode()
      const stream = await rogue.dialProtocol(multiaddr(relay.addresses[0]), '/libp2p/circuit/relay/0.2.0/hop')
      stream.send(bytes)
      await stream.close().catch(() => {})
    }
    await using swarm = createLibp2pSwarm()
    await swarm.add(recorder(), { listen: [], relays: relay.addresses, bootstrap: [] })
    await until(() => relay.status().places === 1, 'it still keeps places for others')
  })
})

/** A multiplexer that says something else first. */
function blurting(bytes: Uint8Array): () => StreamMuxerFactory {
  return () => {
    const factory: StreamMuxerFactory = yamux()()
    return {
      protocol: factory.protocol,
      ...{ [serviceCapabilities]: ['@libp2p/stream-multiplexing'] },
      createStreamMuxer(connection) {
        connection.send(bytes)
        return factory.createStreamMuxer(connection)
      },
    }
  }
}

suite('a peer that wears others out', () => {
  test('by connecting and saying nothing: it is cut, and counted', async () => {
    await using siege = await besieged({ dialDeadlineMs: HASTY_MS })
    const { port, address } = hostOf(siege)
    const sockets = Array.from({ length: 20 }, () => connect(port, address))
    await Promise.all(sockets.map(ended))
    await until(() => siege.events.filter(event => event === 'handshake_failed').length === 20, 'each is counted')
    await isWell(siege)
  })

  test('by speaking none of our protocols: it is cut, and counted', async () => {
    await using siege = await besieged({ silentMs: 50 })
    const mute = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify() },
    })
    try {
      // it may be cut before it knows that it was connected
      await mute.dial(addressOf(siege.victim)).catch(() => {})
      await until(() => siege.events.includes('connection_silent'), 'it is counted')
      await until(() => mute.getConnections().length === 0, 'it is cut')
    } finally {
      await mute.stop()
    }
  })

  test('by flooding: its connection is slowed down, and an honest peer is heard meanwhile', async () => {
    await using siege = await besieged({ peerCostPerSecond: 10_000 })
    await using rogue = await intruder(siege, '/meshsub/1.2.0')
    let written = 0
    const flood = setInterval(() => {
      if (rogue.stream.writeStatus !== 'writable') return
      written += 1
      rogue.stream.send(gossip(`flood ${written} `.padEnd(500, 'x')))
    }, 1)
    try {
      await until(() => siege.events.includes('peer_slowed'), 'it is slowed down')
      await isWell(siege)
    } finally {
      clearInterval(flood)
    }
  })

  test('by breaking rules: it is shunned, and so is its host for a while when it comes back under new names', async () => {
    await using siege = await besieged()
    for (let name = 0; name < 4 && !siege.events.includes('connection_hasty'); name += 1) {
      const rogue = await intruder(siege, '/meshsub/1.2.0').catch(() => undefined)
      if (rogue === undefined) continue
      await using _ = rogue
      const closed = once(rogue.stream, 'close')
      for (let index = 0; index < 20; index += 1) rogue.stream.send(gossip(`bad ${name} ${index}`))
      await closed
    }
    assert.ok(siege.events.filter(event => event === 'peer_shunned').length >= 2)
    await until(() => siege.events.includes('connection_hasty') || retryOnce(siege), 'its host has to wait')
  })

  function retryOnce(siege: Besieged): boolean {
    const { port, address } = hostOf(siege)
    const socket = connect(port, address)
    socket.on('connect', () => socket.destroy()).on('error', () => {})
    return false
  }
})

suite('an eclipse attempt', () => {
  test('callers that take every place for callers do not keep a node from its bootstrap peer, nor from packets', async () => {
    await using swarm = createLibp2pSwarm()
    const heard = recorder()
    const hub = await swarm.add(recorder())
    const victim = await swarm.add(heard, { maxConnections: 8, bootstrap: [] })
    victim.join(key)
    const hostile = await Promise.all(Array.from({ length: 12 }, () => startBareNode()))
    try {
      await Promise.allSettled(
        hostile.map(async node => {
          node.services.pubsub.subscribe(toTopic(key))
          await node.dial(addressOf(victim))
        }),
      )
      await until(() => victim.status().peers.length >= 6, 'they are all around it')
      await victim.reconfigure({ bootstrap: hub.status().addresses })
      await until(() => victim.status().peers.includes(hub.status().id), 'it reaches its bootstrap peer')
      const honest = await swarm.add(recorder())
      honest.join(key)
      await publishUntilHeard(honest, key, heard)
    } finally {
      await Promise.all(hostile.map(node => node.stop()))
    }
  })
})

/** Resolves when the other side has hung up, however rudely. */
function ended(socket: Socket): Promise<void> {
  return new Promise(resolve => void socket.on('error', () => {}).on('close', () => resolve()))
}

function hostOf({ victim }: Besieged): { address: string; port: number } {
  const [, , address = '', , port = ''] = (victim.status().addresses[0] ?? '').split('/')
  return { address, port: Number(port) }
}

/** A packet on its own in a length-prefixed gossip RPC. */
function gossip(text: string): Uint8Array {
  const field = (tag: number, bytes: Uint8Array) => Buffer.concat([Buffer.of(tag), varint(bytes.length), bytes])
  const rpc = field(0x12, Buffer.concat([field(0x12, utf8(text)), field(0x22, utf8(toTopic(key)))]))
  return Buffer.concat([varint(rpc.length), rpc])
}

function varint(value: number): Buffer {
  return value < 128 ? Buffer.of(value) : Buffer.of((value & 127) | 128, value >> 7)
}
