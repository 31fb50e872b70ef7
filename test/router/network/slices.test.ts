/** What peers send, in slices: over libp2p's own TCP connections, with whatever is at their other end. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { suite, test } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MultiaddrConnection, StreamMessageEvent } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { startRelay } from '../../../router/network/relay.ts'
import { createSlices } from '../../../router/network/slices.ts'
import { silentLogger } from '../../support/libp2p-logger.ts'
import { until } from '../../support/poll.ts'
import { startBareNode } from './swarm.ts'

const SLICE_BYTES = 2_048
const PATIENCE = { deadlineMs: 10_000, everyMs: 5 }

interface Heard {
  socket: Socket
  connection: MultiaddrConnection
  /** Each with the turn of the event loop in which it came. */
  messages: { bytes: Buffer; turn: number }[]
  ended: string[]
  all(): Buffer
}

/** Connections whose one end is a plain socket, and whose other end comes in slices; all in one queue. */
async function hear(count: number): Promise<AsyncDisposable & { heard: Heard[] }> {
  const slices = createSlices()
  const connections: MultiaddrConnection[] = []
  const transport = tcp()({ logger: silentLogger } as never)
  const upgradeInbound = async (connection: MultiaddrConnection) => {
    connections.push(connection)
    await once(connection, 'close')
  }
  const listener = transport.createListener({ upgrader: { upgradeInbound } } as never)
  await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const port = Number(listener.getAddrs()[0]?.toString().split('/').at(-1))

  let turn = 0
  let running = true
  const tick = () => {
    turn += 1
    if (running) setImmediate(tick)
  }
  tick()
  const heard: Heard[] = []
  for (let number = 0; number < count; number += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await until('it to be connected', () => connections.length === number + 1, PATIENCE)
    const connection = connections[number] as MultiaddrConnection
    const one: Heard = { socket, connection, messages: [], ended: [], all: () => all(one) }
    slices.follow(connection, connection)
    connection.addEventListener('message', event => {
      const { data } = event as StreamMessageEvent
      one.messages.push({ bytes: Buffer.from(data.subarray()), turn })
    })
    for (const end of ['remoteCloseWrite', 'close']) {
      connection.addEventListener(end as 'close', () => void one.ended.push(`${end} after ${all(one).length}`))
    }
    heard.push(one)
  }
  return {
    heard,
    async [Symbol.asyncDispose]() {
      running = false
      for (const { socket } of heard) socket.destroy()
      for (const connection of connections) connection.abort(new Error('over'))
      await listener.close()
    },
  }
}

const all = ({ messages }: Heard) => Buffer.concat(messages.map(({ bytes }) => bytes))

suite('what peers send', () => {
  test('comes whole, in slices, of which each has a turn of its own', async () => {
    await using swarm = await hear(2)
    const [a, b] = swarm.heard as [Heard, Heard]
    const sent = [randomBytes(300_000), randomBytes(100_000)] as const
    a.socket.write(sent[0])
    b.socket.write(sent[1])
    await until('all to come', () => a.all().length === 300_000 && b.all().length === 100_000, PATIENCE)
    assert.ok(a.all().equals(sent[0]) && b.all().equals(sent[1]))
    const messages = [...a.messages, ...b.messages]
    for (const { bytes } of messages) assert.ok(bytes.length <= SLICE_BYTES, `${bytes.length} bytes at once`)
    const byTurn = Map.groupBy(messages, ({ turn }) => turn)
    for (const [, together] of byTurn) assert.ok(together.length <= 2, `${together.length} slices in a turn`)
    const lastOfB = b.messages.at(-1)?.turn ?? 0
    assert.ok(lastOfB < (a.messages.at(-1)?.turn ?? 0), 'they take turns')
  })

  test('comes at once when it is short', async () => {
    await using swarm = await hear(1)
    const [a] = swarm.heard as [Heard]
    for (let count = 1; count <= 20; count += 1) {
      a.socket.write(randomBytes(200))
      await until('it to come', () => a.all().length === count * 200, PATIENCE)
    }
    assert.equal(a.messages.length, 20)
  })

  test('waits while it is not wanted, and then comes', async () => {
    await using swarm = await hear(1)
    const [a] = swarm.heard as [Heard]
    a.connection.addEventListener('message', () => a.connection.pause(), { once: true })
    const sent = randomBytes(200_000)
    a.socket.write(sent)
    await until('some to come', () => a.messages.length > 0, PATIENCE)
    await new Promise(resolve => setTimeout(resolve, 100))
    assert.deepEqual(
      a.messages.map(({ bytes }) => bytes.length),
      [SLICE_BYTES],
    )
    a.connection.resume()
    await until('all to come', () => a.all().length === sent.length, PATIENCE)
    assert.ok(a.all().equals(sent))
  })

  test('comes no faster than it is wanted, and the rest stays with the peer', async () => {
    await using swarm = await hear(1)
    const [a] = swarm.heard as [Heard]
    a.connection.addEventListener('message', () => {
      a.connection.pause()
      setTimeout(() => a.connection.status === 'open' && a.connection.resume(), 2)
    })
    const sent = randomBytes(32 << 20)
    a.socket.write(sent)
    await until('some to come', () => a.messages.length >= 100, PATIENCE)
    for (const { bytes } of a.messages) assert.ok(bytes.length <= SLICE_BYTES, `${bytes.length} bytes at once`)
    assert.ok(a.connection.readBufferLength <= 1 << 16, `${a.connection.readBufferLength} bytes wait here`)
    assert.ok(a.socket.writableLength > 0, 'the peer still holds it')
    assert.ok(a.all().equals(sent.subarray(0, a.all().length)))
  })

  test('comes before its end', async () => {
    await using swarm = await hear(1)
    const [a] = swarm.heard as [Heard]
    const sent = randomBytes(60_000)
    a.socket.end(sent)
    await until('the end', () => a.ended.length > 0, PATIENCE)
    assert.match(String(a.ended[0]), / after 60000$/)
    assert.ok(a.all().equals(sent))
  })

  test('is dropped where the connection was broken off', async () => {
    await using swarm = await hear(1)
    const [a] = swarm.heard as [Heard]
    a.connection.addEventListener('message', () => a.connection.abort(new Error('enough')), { once: true })
    a.socket.write(randomBytes(60_000))
    await until('the end', () => a.ended.length > 0, PATIENCE)
    await new Promise(resolve => setTimeout(resolve, 50))
    assert.equal(a.all().length, SLICE_BYTES)
  })

  test('is cut above the encryption, whatever frames the peer makes', async () => {
    const slices = createSlices()
    const [outbound, inbound] = await Promise.all([encryption(), encryption()])
    const [near, far] = multiaddrConnectionPair()
    const [ours, theirs] = await Promise.all([inbound.secureInbound(near), outbound.secureOutbound(far)])
    slices.follow(ours.connection, near)
    const sizes: number[] = []
    ours.connection.addEventListener('message', ({ data }) => void sizes.push(data.byteLength))
    theirs.connection.send(randomBytes(60_000))
    const sum = () => sizes.reduce((total, size) => total + size, 0)
    await until('all to come', () => sum() === 60_000, PATIENCE)
    assert.ok(Math.max(...sizes) <= SLICE_BYTES, `${Math.max(...sizes)} bytes at once`)
  })

  test('comes whole over a relay', async () => {
    const PROTOCOL = '/test/1.0.0'
    const privateKey = await generateKeyPair('Ed25519')
    await using relay = await startRelay({ privateKey }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
    const place = `${relay.addresses[0]}/p2p-circuit`
    await using hearer = await startBareNode({ listen: [place] })
    let bytes = 0
    await hearer.handle(
      PROTOCOL,
      stream =>
        stream.addEventListener('message', ({ data }) => {
          bytes += data.byteLength
        }),
      { runOnLimitedConnection: true },
    )
    await until('it to have a place', () => hearer.getMultiaddrs().length > 0, PATIENCE)
    await using sender = await startBareNode({ listen: [] })
    const address = multiaddr(`${place}/p2p/${hearer.peerId}`)
    const stream = await sender.dialProtocol(address, PROTOCOL, { runOnLimitedConnection: true })
    for (let count = 0; count < 20; count += 1) {
      if (!stream.send(randomBytes(10_000))) await stream.onDrain()
    }
    await stream.close()
    await sender.hangUp(hearer.peerId)
    await until('all to come', () => bytes === 200_000, PATIENCE)
  })
})

async function encryption() {
  const privateKey = await generateKeyPair('Ed25519')
  const upgrader = { getStreamMuxers: () => new Map() }
  return noise()({ privateKey, logger: silentLogger, upgrader } as never)
}
