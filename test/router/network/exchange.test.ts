import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { type RoutingKey, routingKey } from '../../../router/keyspace.ts'
import { createExchange, SYNC_PROTOCOL } from '../../../router/network/exchange.ts'
import type { NetworkHandlers } from '../../../router/network/network.ts'
import { createRateLimit } from '../../../router/network/rate-limit.ts'
import { utf8 } from '../../contracts/network.ts'
import { quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const OPTIONS = { pageSize: 4, maxPackets: 10, pageDeadlineMs: 20_000 }
/** Where somebody is to be given up: long enough for a connection between two busy threads, short beside our patience. */
const HASTY = { pageDeadlineMs: 1_000 }
const PATIENCE_MS = 30_000
const patience = () => AbortSignal.timeout(PATIENCE_MS)
const held = (count: number) => Array.from({ length: count }, (_, index) => utf8(`held ${index}`))

/** Two connected nodes: one asks, one answers; `list` and `serve` say how. */
async function pair(
  options: {
    list?: NetworkHandlers['list']
    serve?: (stream: Stream) => void
    sizes?: Partial<typeof OPTIONS>
    pages?: number
  } = {},
) {
  const stack = new AsyncDisposableStack()
  const asker = stack.use(await startBareNode())
  const server = stack.use(await startBareNode())
  const blamed: string[] = []
  const counted: string[] = []
  const limit = createRateLimit(performance, { perSecond: 0, burst: options.pages ?? 1_000 })
  const create = (list: NetworkHandlers['list']) =>
    createExchange(
      { list, limit, blame: peer => blamed.push(peer.toString()), count: event => counted.push(event), logger: quiet },
      { ...OPTIONS, ...options.sizes },
    )
  const serving = create(options.list ?? (async () => []))
  await server.handle(SYNC_PROTOCOL, options.serve ?? serving.serve)
  const connection = await asker.dial(server.getMultiaddrs())
  const asking = create(async () => [])
  return {
    connection,
    blamed,
    counted,
    asker: asker.peerId.toString(),
    server: server.peerId.toString(),
    pages: (of: RoutingKey = key, from = 0) => asking.pages(connection, of, patience(), from),
    async texts(of: RoutingKey = key) {
      const texts: string[][] = []
      for await (const page of asking.pages(connection, of, patience())) {
        texts.push(page.map(bytes => Buffer.from(bytes).toString()))
      }
      return texts
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Answers the first request with these frames. */
const answering = (...frames: Uint8Array[]) => {
  return (stream: Stream) => {
    const lp = lpStream(stream)
    lp.read()
      .then(() => lp.writeV(frames))
      .catch(() => {})
  }
}

suite('the backfill protocol', () => {
  test('pages come in order, up to the cap', async () => {
    const asked: unknown[] = []
    await using peers = await pair({
      list: async (of, page) => {
        asked.push({ of, ...page })
        return held(25).slice(page.offset, page.offset + page.limit)
      },
    })
    assert.deepEqual(await peers.texts(), [
      ['held 0', 'held 1', 'held 2', 'held 3'],
      ['held 4', 'held 5', 'held 6', 'held 7'],
      ['held 8', 'held 9'],
    ])
    assert.deepEqual(asked, [
      { of: key, offset: 0, limit: 4 },
      { of: key, offset: 4, limit: 4 },
      { of: key, offset: 8, limit: 2 },
    ])
    assert.deepEqual(peers.blamed, [])
  })

  test('may begin further on', async () => {
    await using peers = await pair({ list: async (_key, { offset, limit }) => held(10).slice(offset, offset + limit) })
    const texts: string[] = []
    for await (const page of peers.pages(key, 7)) texts.push(...page.map(bytes => Buffer.from(bytes).toString()))
    assert.deepEqual(texts, ['held 7', 'held 8', 'held 9'])
  })

  test('a holder of nothing says so', async () => {
    await using peers = await pair()
    assert.deepEqual(await peers.texts(), [])
  })

  test('a server leaves out what cannot be a packet and hands out no more than was asked for', async () => {
    await using peers = await pair({
      list: async () => [new Uint8Array(577), new Uint8Array(), ...held(20)],
      sizes: { maxPackets: 4 },
    })
    assert.deepEqual(await peers.texts(), [['held 0', 'held 1', 'held 2', 'held 3']])
  })

  test('many keys asked of one peer at once are answered one after the other', async () => {
    let running = 0
    let most = 0
    await using peers = await pair({
      async list(of, { offset, limit }) {
        running += 1
        most = Math.max(most, running)
        await once(AbortSignal.timeout(5), 'abort')
        running -= 1
        return [utf8(of)].slice(offset, offset + limit)
      },
    })
    const keys = Array.from({ length: 12 }, (_, cell) => routingKey('0123abcd', 'legal', cell))
    const answers = await Promise.all(keys.map(async of => peers.texts(of)))
    assert.deepEqual(
      answers,
      keys.map(of => [[of]]),
    )
    assert.equal(most, 1)
  })

  test('a reader may stop early', async () => {
    await using peers = await pair({ list: async (_key, { offset, limit }) => held(10).slice(offset, offset + limit) })
    for await (const page of peers.pages()) {
      assert.equal(page.length, 4)
      break
    }
    assert.equal((await peers.texts()).length, 3, 'the next one is served as if nothing had been')
  })
})

suite('a server that breaks the protocol', () => {
  const end = new Uint8Array()
  const breaches: [string, Uint8Array[]][] = [
    ['sends a frame that is too long', [new Uint8Array(577), end]],
    ['sends more packets than were asked for', [...held(5), end]],
    ['sends more than can be read', [...Array.from({ length: 300 }, () => new Uint8Array(570)), end]],
  ]
  for (const [what, frames] of breaches) {
    test(`${what}: it is blamed and cut off`, async () => {
      await using peers = await pair({ serve: answering(...frames) })
      await assert.rejects(peers.texts())
      assert.deepEqual(peers.blamed, [peers.server])
      assert.deepEqual(
        peers.connection.streams.filter(stream => stream.protocol === SYNC_PROTOCOL),
        [],
      )
    })
  }

  const delays: [string, (stream: Stream) => void][] = [
    ['never answers', () => {}],
    ['never ends its page', answering(...held(2))],
    ['drips', stream => dripping(stream)],
  ]
  for (const [what, serve] of delays) {
    test(`${what}: it is given up at the deadline, without blame`, async () => {
      await using peers = await pair({ serve, sizes: HASTY })
      const began = performance.now()
      await assert.rejects(peers.texts(), { name: 'TimeoutError' })
      assert.ok(performance.now() - began < PATIENCE_MS / 2)
      assert.deepEqual(peers.blamed, [])
    })
  }

  function dripping(stream: Stream): void {
    stream.send(Uint8Array.of(100))
    const timer = setInterval(() => {
      if (stream.writeStatus === 'writable') stream.send(Uint8Array.of(0))
      else clearInterval(timer)
    }, 50)
    stream.addEventListener('close', () => clearInterval(timer))
  }
})

suite('a client that breaks the protocol', () => {
  const request = (limit: number) => {
    const bytes = Buffer.alloc(38)
    bytes.writeUInt16BE(limit, 36)
    return bytes
  }
  const breaches: [string, Uint8Array][] = [
    ['sends a request that is too long', new Uint8Array(39)],
    ['sends a request that is too short', new Uint8Array(37)],
    ['asks for nothing', request(0)],
    ['asks for more than a page', request(5)],
  ]
  for (const [what, bytes] of breaches) {
    test(`${what}: it is blamed and cut off`, async () => {
      await using peers = await pair()
      const stream = await peers.connection.newStream(SYNC_PROTOCOL)
      const closed = once(stream, 'close', { signal: patience() })
      await lpStream(stream).write(bytes)
      await closed
      assert.deepEqual([peers.blamed, peers.counted], [[peers.asker], ['sync_breach']])
    })
  }

  test('leaves its stream half open: it is cut off at the deadline, and others are served meanwhile', async () => {
    await using peers = await pair({
      list: async (_key, { offset, limit }) => held(3).slice(offset, offset + limit),
      sizes: HASTY,
    })
    const stream = await peers.connection.newStream(SYNC_PROTOCOL)
    await once(stream, 'close', { signal: patience() })
    assert.deepEqual(peers.counted, ['sync_failed'])
    assert.deepEqual(await peers.texts(), [['held 0', 'held 1', 'held 2']])
    assert.deepEqual(peers.blamed, [])
  })

  test('asks too often: it is turned away', async () => {
    await using peers = await pair({ pages: 2 })
    assert.deepEqual(await peers.texts(), [])
    assert.deepEqual(await peers.texts(), [])
    await assert.rejects(peers.texts())
    assert.deepEqual(peers.blamed, [])
    assert.ok(peers.counted.includes('sync_rate'))
  })

  test('goes on asking: it gets no more than the cap', async () => {
    await using peers = await pair({ list: async () => held(4) })
    const lp = lpStream(await peers.connection.newStream(SYNC_PROTOCOL))
    let pages = 0
    const asking = (async () => {
      for (;;) {
        await lp.write(request(4))
        while ((await lp.read()).byteLength > 0);
        pages += 1
      }
    })()
    await assert.rejects(asking)
    assert.equal(pages, 3)
  })
})
