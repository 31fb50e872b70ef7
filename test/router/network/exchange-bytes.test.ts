/** The backfill protocol byte by byte, as docs/protocol.md has it: one side is the program, the other knows only bytes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { routingKey } from '../../../router/keyspace.ts'
import { createExchange, SYNC_PROTOCOL } from '../../../router/network/exchange.ts'
import type { NetworkHandlers } from '../../../router/network/network.ts'
import { createRateLimit } from '../../../router/network/rate-limit.ts'
import { quiet, startBareNode } from './swarm.ts'

const KEY = routingKey('0123abcd', 'general', 0xa9)
const DEADLINE_MS = 60_000
/** Of one byte, of 127, and of 128, where a length takes its second byte. */
const PACKETS = [1, 127, 128].map(length => Buffer.alloc(length, length))

async function pair() {
  const stack = new AsyncDisposableStack()
  const nodes = [stack.use(await startBareNode()), stack.use(await startBareNode())] as const
  return { nodes, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function exchange(list: NetworkHandlers['list']) {
  const limit = createRateLimit(performance, { perSecond: 1, burst: 100 })
  return createExchange(
    { list, limit, blame: peer => assert.fail(`${peer} is blamed`), count() {}, logger: quiet },
    { pageSize: 64, maxPackets: 1_000, pageDeadlineMs: DEADLINE_MS },
  )
}

/** Resolves once `count` bytes have come. */
async function bytesFrom(stream: Stream, count: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  const late = AbortSignal.timeout(DEADLINE_MS)
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk.subarray()])
    if (bytes.length >= count) return bytes
    late.throwIfAborted()
  }
  return bytes
}

/** A length of one byte, the key, four bytes of offset, two of limit. */
function request(offset: string, limit: string): Buffer {
  return Buffer.from(`26${KEY}${offset}${limit}`, 'hex')
}

const ANSWER = Buffer.concat([
  Buffer.from('01', 'hex'),
  PACKETS[0] as Buffer,
  Buffer.from('7f', 'hex'),
  PACKETS[1] as Buffer,
  Buffer.from('8001', 'hex'),
  PACKETS[2] as Buffer,
  Buffer.from('00', 'hex'),
])

suite('the backfill protocol in bytes', () => {
  test('is answered as the document says', async () => {
    await using there = await pair()
    const [asker, server] = there.nodes
    const asked: unknown[] = []
    const { serve } = exchange(async (key, page) => {
      asked.push([key, page])
      return PACKETS
    })
    await server.handle(SYNC_PROTOCOL, serve)
    const stream = await asker.dialProtocol(server.getMultiaddrs(), '/qis/sync/1.0.0')
    stream.send(request('00000000', '0003'))
    assert.deepEqual(await bytesFrom(stream, ANSWER.length), ANSWER)
    assert.deepEqual(asked, [[KEY, { offset: 0, limit: 3 }]])
    await stream.close()
  })

  test('asks as the document says', async () => {
    await using there = await pair()
    const [asker, server] = there.nodes
    const { promise: seen, resolve } = Promise.withResolvers<Buffer>()
    await server.handle('/qis/sync/1.0.0', async stream => {
      resolve(await bytesFrom(stream, 39))
      stream.send(ANSWER)
    })
    const connection = await asker.dial(server.getMultiaddrs())
    const pages = exchange(async () => []).pages(connection, KEY, AbortSignal.timeout(DEADLINE_MS))
    const { value } = await pages.next()
    assert.deepEqual(
      value?.map(bytes => Buffer.from(bytes)),
      PACKETS,
    )
    assert.deepEqual(await seen, request('00000000', '0040'))
    await pages.return()
  })
})
