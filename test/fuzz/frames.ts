/** Bytes on the backfill protocol, asked and answered: a stream ends in time, a breach is blamed, and the node serves on. */
import type { Stream } from '@libp2p/interface'
import { routingKey } from '../../router/keyspace.ts'
import { createExchange, encodeRequest, SYNC_PROTOCOL } from '../../router/network/exchange.ts'
import { MAX_FRAME_BYTES } from '../../router/network/network.ts'
import { createRateLimit } from '../../router/network/rate-limit.ts'
import { quiet, startBareNode } from '../router/network/swarm.ts'
import type { Dice } from './dice.ts'
import type { Target } from './target.ts'

interface FramesInput {
  /** Whether the bytes are requests or answers. */
  side: 'request' | 'answer'
  /** Hex; each is sent by itself. */
  parts: string[]
}

const KEY = routingKey('0123abcd', 'general', 0xa9)
const PAGE = 4
const PAGE_MS = 150
const DEADLINE_MS = 10_000
const TRIES = 10

export async function framesTarget(): Promise<Target<FramesInput>> {
  await using parts = new AsyncDisposableStack()
  const [node, stranger] = [parts.use(await startBareNode()), parts.use(await startBareNode())]
  const limit = createRateLimit(performance, { perSecond: 1e6, burst: 1e6 })
  const packets = [1, 100, MAX_FRAME_BYTES].map(length => Buffer.alloc(length, 7))
  const exchange = createExchange(
    { list: async () => packets, limit, blame: () => undefined, count() {}, logger: quiet },
    { pageSize: PAGE, maxPackets: 3 * PAGE, pageDeadlineMs: PAGE_MS },
  )
  let answer: readonly Buffer[] = []
  await node.handle(SYNC_PROTOCOL, exchange.serve)
  await stranger.handle(SYNC_PROTOCOL, async stream => {
    for (const bytes of answer) stream.send(bytes)
    await stream.close().catch(() => undefined)
  })
  const kept = parts.move()

  async function ask(bytes: readonly Buffer[]): Promise<Buffer> {
    const stream = await stranger.dialProtocol(node.getMultiaddrs(), SYNC_PROTOCOL)
    for (const each of bytes) if (stream.status === 'open') stream.send(each)
    await stream.close().catch(() => undefined)
    return all(stream)
  }

  return {
    make(dice) {
      const side = dice.pick(['request', 'answer'] as const)
      const frames = Array.from({ length: 1 + dice.below(4) }, () => frame(side, dice))
      return { side, parts: frames.map(bytes => bytes.toString('hex')) }
    },
    async examine({ side, parts }) {
      const bytes = parts.map(hex => Buffer.from(hex, 'hex')).filter(({ length }) => length > 0)
      if (side === 'request') {
        const told = await ask(bytes)
        const bound = 3 * (PAGE * (MAX_FRAME_BYTES + 2) + 1)
        if (told.length > bound) return `${told.length} bytes came back`
      } else {
        answer = bytes
        const connection = await node.dial(stranger.getMultiaddrs())
        let count = 0
        try {
          for await (const page of exchange.pages(connection, KEY, AbortSignal.timeout(DEADLINE_MS)))
            count += page.length
        } catch (error) {
          if (!(error instanceof Error)) return `it threw ${String(error)}`
          if (error.name === 'TypeError' || error.name === 'RangeError') return `it threw ${error.stack}`
        }
        if (count > 3 * PAGE) return `${count} packets were taken`
      }
      // More than once, since a busy machine may miss a page's deadline.
      for (let times = 0; times < TRIES; times++) {
        const sound = await ask([Buffer.concat([Buffer.of(38), encodeRequest(KEY, 0, PAGE)])])
        if (sound.length > packets.length) return undefined
      }
      return 'it serves nobody any more'
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

async function all(stream: Stream): Promise<Buffer> {
  const chunks: Buffer[] = []
  const late = setTimeout(() => stream.abort(new Error('too late')), DEADLINE_MS)
  try {
    for await (const chunk of stream) chunks.push(Buffer.from(chunk.subarray()))
  } catch {
    // The other side may well have broken it off.
  } finally {
    clearTimeout(late)
  }
  return Buffer.concat(chunks)
}

function frame(side: FramesInput['side'], dice: Dice): Buffer {
  const contents =
    side === 'request'
      ? Buffer.from(encodeRequest(KEY, dice.pick([0, 1, 0xffff_ffff]), dice.pick([0, 1, PAGE, PAGE + 1, 0xffff])))
      : dice.bytes(dice.pick([0, 1, 127, 128, 500, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1]))
  const length = dice.oneIn(3) ? dice.bytes(1 + dice.below(11)) : varint(contents.length + dice.pick([0, 0, 0, 1, -1]))
  const whole = Buffer.concat([length, contents])
  if (dice.oneIn(4)) return whole.subarray(0, dice.below(whole.length + 1))
  if (dice.oneIn(6)) return dice.bytes(dice.below(200))
  if (dice.oneIn(3) && whole.length > 0) whole[dice.below(whole.length)] = dice.below(256)
  return whole
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = Math.max(0, value)
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
