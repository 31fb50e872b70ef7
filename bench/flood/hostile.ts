/**
 * Five peers that want to drown another: they write gossip as fast as they are told, and come back under new names when
 * they are turned away. Or, for comparison, the same bytes to a bare TCP server.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Node } from '../../router/network/node.ts'
import { sealPacket } from '../../router/packet.ts'
import { startBareNode } from '../../test/router/network/swarm.ts'
import { aPacket } from '../../test/support/router-support.ts'

export interface FloodOrder {
  /** Multiaddr of the victim, or a port of the sink. */
  target: string | number
  /** `invalid`: false signatures, noise, wrong keys, too long; `valid`: rightly signed and of the right kind. */
  kind: 'invalid' | 'valid'
  topic: string
  space: string
  /** First two digits of the fingerprints. */
  cell: string
  seconds: number
  /** Of all peers together. */
  packetsPerSecond: number
}

const PEERS = 5
const TICK_MS = 10
/** Made before the flood, so that making them takes no time from it. */
const POOL = 4_000
/** Making a new name costs this side far more than turning it away costs the other; both share the cores here. */
const COME_BACK_MS = 2_000
/** An address at which every call is refused at once. */
const NOBODY = '/ip4/127.0.0.1/tcp/1'

async function makePool({ kind, space, cell }: FloodOrder): Promise<Uint8Array[]> {
  const privateKey = await generateKeyPair('Ed25519')
  const hour = Math.floor(Date.now() / 3_600_000) * 3_600
  const pool: Uint8Array[] = []
  for (let index = 0; index < (kind === 'valid' ? POOL : 100); index += 1) {
    const answer = randomBytes(8).toString('hex')
    pool.push(
      await sealPacket(aPacket({ answer, space, code: `${cell}00`, domain: 'general', time: hour }), privateKey),
    )
  }
  return pool
}

/** One that is different each time, and wrong in one of four ways. */
function spoilt(packet: Uint8Array, count: number): Uint8Array {
  if (count % 4 === 0) return randomBytes(packet.length)
  if (count % 4 === 1) return randomBytes(600)
  const bytes = Buffer.from(packet)
  // within the signature, at the end; or within the payload, which is then no packet or has another signature
  const place = count % 4 === 2 ? bytes.length - 1 - Math.floor(Math.random() * 60) : 60 + (count % 100)
  bytes[place] = (bytes[place] ?? 0) ^ (1 + Math.floor(Math.random() * 255))
  randomBytes(8).copy(bytes, bytes.length - 40)
  return bytes
}

/** A gossip message on its own in a length-prefixed RPC. */
function frameOf(data: Uint8Array, topic: string): Buffer {
  const field = (tag: number, bytes: Uint8Array) => Buffer.concat([Buffer.of(tag), varint(bytes.length), bytes])
  const rpc = field(0x12, Buffer.concat([field(0x12, data), field(0x22, Buffer.from(topic))]))
  return Buffer.concat([varint(rpc.length), rpc])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest & 127) | 128)
  }
}

interface Drain {
  /** Whether more can be written now. */
  open(): boolean
  write(bytes: Uint8Array): void
}

/** Under one new name after the other, until it is over. */
async function comeBack(until: number, call: (node: Node) => Promise<void>): Promise<void> {
  while (performance.now() < until) {
    try {
      await using node = await startBareNode({ listen: [] })
      await call(node)
    } catch {
      // turned away: try again as somebody else
    }
    await new Promise(resolve => setTimeout(resolve, COME_BACK_MS))
  }
}

function openGossip(target: string, until: number): Drain {
  let stream: Stream | undefined
  void comeBack(until, async node => {
    const signal = AbortSignal.timeout(5_000)
    try {
      stream = await node.dialProtocol(multiaddr(target), '/meshsub/1.2.0', { signal })
      if (stream.status === 'open') await once(stream, 'close')
    } finally {
      stream = undefined
    }
  })
  return {
    open: () => stream?.writeStatus === 'writable' && stream.writeBufferLength < 200_000,
    write: bytes => void stream?.send(bytes),
  }
}

async function openSocket(port: number, until: number): Promise<Drain> {
  const socket: Socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  // who is turned away makes names all the while, on the same cores
  void comeBack(until, async node => void (await node.dial(multiaddr(NOBODY))))
  return { open: () => socket.writableLength < 200_000, write: bytes => void socket.write(bytes) }
}

async function flood(order: FloodOrder): Promise<{ offered: number; sent: number }> {
  const { target, kind, topic, seconds, packetsPerSecond } = order
  const pool = await makePool(order)
  const until = performance.now() + seconds * 1_000
  const drains = await Promise.all(
    Array.from({ length: PEERS }, () =>
      typeof target === 'string' ? openGossip(target, until) : openSocket(target, until),
    ),
  )
  const began = performance.now()
  let offered = 0
  let sent = 0
  while (performance.now() < until) {
    const due = Math.floor(((performance.now() - began) / 1_000) * packetsPerSecond)
    for (; offered < due; offered += 1) {
      const packet = pool[offered % pool.length] ?? new Uint8Array()
      const drain = drains[offered % PEERS]
      // made in any case, so that this side costs the same whether it is let in or not
      const bytes = frameOf(kind === 'valid' ? packet : spoilt(packet, offered), topic)
      if (!drain?.open()) continue
      drain.write(bytes)
      sent += 1
    }
    await new Promise(resolve => setTimeout(resolve, TICK_MS))
  }
  return { offered, sent }
}

process.on('unhandledRejection', () => {})
process.once('message', async (order: FloodOrder) => {
  const result = await flood(order)
  process.send?.(result, () => process.exit())
})
