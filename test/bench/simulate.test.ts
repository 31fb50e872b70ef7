/** The simulated swarm against kad-dht's own code, run without a network. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import * as Digest from 'multiformats/hashes/digest'
import { distance, drawIds, lowerBound } from '../../bench/simulate/ids.ts'
import { createHeap, runQuery } from '../../bench/simulate/query.ts'
import { runSimulation } from '../../bench/simulate/run.ts'
import { createTables } from '../../bench/simulate/tables.ts'
import { mean } from '../../bench/swarm/fit.ts'
import { seededRandom } from '../../embeddings/train/corpus.ts'
// not exported by the package, which is why the simulation has its own of both
import { QueryManager } from '../../node_modules/@libp2p/kad-dht/dist/src/query/manager.js'
import { KBucket } from '../../node_modules/@libp2p/kad-dht/dist/src/routing-table/k-bucket.js'
import { DHT_QUERY } from '../../router/network/options.ts'
import { silentLogger } from '../support/libp2p-logger.ts'

const SHA2_256 = 0x12
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** Peers with their ids in the DHT, in the order of these. */
function makePeers(count: number, name: string) {
  const peers = Array.from({ length: count }, (_, at) => {
    const peerId = peerIdFromMultihash(Digest.create(SHA2_256, sha256(Buffer.from(`${name} ${at}`)))) as PeerId
    return { peerId, id: sha256(peerId.toMultihash().bytes).readUInt32BE() }
  }).sort((a, b) => a.id - b.id)
  return { peers, ids: Uint32Array.from(peers, ({ id }) => id) }
}

async function bucketOf(self: PeerId, others: PeerId[]): Promise<KBucket> {
  const bucket = new KBucket({ peerId: self }, { ping: async function* () {}, verify: async () => true })
  await bucket.start()
  for (const other of others) await bucket.add(other)
  return bucket
}

describe('a simulated routing table', () => {
  test('names the same peers as that of kad-dht, while every prefix has room', async () => {
    const { peers, ids } = makePeers(300, 'few')
    const tables = createTables(ids)
    const self = 123
    const others = peers.filter((_, at) => at !== self)
    const bucket = await bucketOf(
      peers[self]?.peerId as PeerId,
      others.map(({ peerId }) => peerId),
    )
    assert.equal(tables.size(self), bucket.count())
    for (let target = 0; target < 20; target++) {
      const kadId = sha256(Buffer.from(`target ${target}`))
      const real = [...bucket.closest(kadId)].map(String)
      const simulated = tables.closest(self, kadId.readUInt32BE()).map(peer => String(peers[peer]?.peerId))
      assert.deepEqual(simulated, real)
    }
  })

  test('holds as many peers as that of kad-dht when it is full, each once and never itself', async () => {
    const { peers, ids } = makePeers(2_500, 'many')
    const tables = createTables(ids)
    const bucket = await bucketOf(
      peers[7]?.peerId as PeerId,
      peers.filter((_, at) => at !== 7).map(({ peerId }) => peerId),
    )
    assert.equal(tables.size(7), bucket.count())
    const closest = tables.closest(7, ids[7] as number)
    assert.equal(closest.length, 20)
    assert.equal(new Set(closest).size, 20)
    assert.ok(!closest.includes(7))
    const ofAnother = createTables(ids, { seed: 2 }).closest(7, ids[7] as number)
    assert.notDeepEqual(ofAnother, closest)
  })
})

describe('a simulated query', () => {
  /** Runs one query by kad-dht's own code; resolves to how many peers it asked. */
  async function realQuery(
    peers: { peerId: PeerId }[],
    indexOf: Map<string, number>,
    tables: ReturnType<typeof createTables>,
    asker: number,
    key: Uint8Array,
  ): Promise<number> {
    const self = peers[asker]?.peerId as PeerId
    const target = sha256(key).readUInt32BE()
    const peerOf = (at: number) => peers[at]?.peerId as PeerId
    const manager = new QueryManager(
      {
        peerId: self,
        logger: silentLogger,
        connectionManager: { isDialable: async () => true },
      } as never,
      {
        logPrefix: '',
        metricsPrefix: '',
        ...DHT_QUERY,
        allowQueryWithZeroPeers: true,
        initialQuerySelfHasRun: { promise: Promise.resolve() },
        routingTable: {
          size: 1,
          kBucketSize: 20,
          closestPeers: () => tables.closest(asker, target).map(peerOf),
          queueRoutingTableUpdate() {},
        },
      } as never,
    )
    await manager.start()
    let asked = 0
    const answer = async function* ({ peer }: { peer: { id: PeerId } }) {
      asked++
      // answers come back out of order, as they do in life
      for (let turns = Math.random() * 8; turns > 0; turns--) await new Promise(resolve => setImmediate(resolve))
      const closer = tables.closest(indexOf.get(String(peer.id)) as number, target)
      yield {
        name: 'PEER_RESPONSE',
        from: peer.id,
        closer: closer.map(at => ({ id: peerOf(at), multiaddrs: [] })),
        providers: [],
      } as never
    }
    for await (const _ of manager.run(key, answer as never)) {
    }
    await manager.stop()
    return asked
  }

  // Tables of few bits, so that a query has to walk: full tables would know everybody at these sizes.
  for (const [nodes, prefixBits] of [
    [100, 6],
    [1_500, 3],
  ] as const) {
    test(`asks as many peers as kad-dht's own code, within a tenth, with ${nodes} nodes`, async () => {
      const { peers, ids } = makePeers(nodes, `swarm of ${nodes}`)
      const indexOf = new Map(peers.map(({ peerId }, at) => [String(peerId), at]))
      const tables = createTables(ids, { prefixBits })
      const random = seededRandom(3)
      const real: number[] = []
      const simulated: number[] = []
      for (let query = 0; query < 15; query++) {
        const key = Buffer.from(`key ${query}`)
        const asker = Math.floor(random() * nodes)
        real.push(await realQuery(peers, indexOf, tables, asker, key))
        const options = { roundTripMs: () => 10 + 50 * random(), serviceMs: 0 }
        simulated.push(runQuery({ tables, random }, asker, sha256(key).readUInt32BE(), options).rpcs)
      }
      const ratio = mean(simulated) / mean(real)
      assert.ok(ratio > 0.9 && ratio < 1.1, `simulated ${mean(simulated)}, real ${mean(real)}`)
    })
  }

  test('takes the time of its longest chain, and of what the asker does one after the other', () => {
    const random = seededRandom(1)
    const tables = createTables(drawIds(10, random))
    const far = runQuery({ tables, random }, 0, 0, { roundTripMs: () => 50, serviceMs: 0 })
    assert.deepEqual([far.rpcs, far.hops, far.ms, far.nearest.length], [9, 1, 50, 9])
    const busy = runQuery({ tables, random }, 0, 0, { roundTripMs: () => 0, serviceMs: 2 })
    assert.equal(busy.ms, 18)
    const held = runQuery({ tables, random, holds: () => true }, 0, 0, { roundTripMs: () => 50, serviceMs: 1 })
    assert.deepEqual(held.first, { ms: 51, rpcs: 9 })
  })
})

describe('a simulated swarm', () => {
  test('is the same for the same seed, and another for another', async () => {
    const run = (seed: number) => runSimulation(120, { seed, lookups: 10, played: 12 })
    const first = await run(5)
    assert.deepEqual(await run(5), first)
    assert.notDeepEqual(await run(6), first)
  })

  test('knows everybody while tables have room, and walks further when they have not', async () => {
    const small = await runSimulation(100, { seed: 1, lookups: 20, played: 4 })
    assert.deepEqual([small.tableSize, small.rpcs.p50, small.hops.p50, small.foundShare], [99, 20, 1, 1])
    const large = await runSimulation(5_000, { seed: 1, lookups: 20, played: 4 })
    assert.equal(large.tableSize, 1_280)
    assert.ok(large.rpcs.p50 > 2 * small.rpcs.p50 && large.hops.p50 > 1, JSON.stringify(large))
    const deep = await runSimulation(5_000, { seed: 1, lookups: 20, played: 4, prefixBits: 10 })
    assert.ok(deep.rpcs.p50 < large.rpcs.p50, JSON.stringify(deep))
  })

  test('finds what was announced among nodes that name only each other, for more than one path', async () => {
    const among = (disjointPaths: number, hostileShare: number) =>
      runSimulation(5_000, { seed: 1, lookups: 60, played: 2, prefixBits: 3, disjointPaths, hostileShare })
    const [one, three, ten] = [await among(1, 0.4), await among(3, 0.4), await among(10, 0.4)]
    assert.ok(one.foundShare < 0.95, `one path finds ${one.foundShare}`)
    assert.deepEqual([three.foundShare, ten.foundShare], [1, 1])
    assert.ok(one.rpcs.p50 < three.rpcs.p50 && three.rpcs.p50 < ten.rpcs.p50)
    assert.equal((await among(1, 0)).foundShare, 1)
    assert.equal((await among(3, 1)).foundShare, 0)
  })

  test('asks more, learns more: every assumption shows in the figures', async () => {
    const base = { seed: 1, lookups: 5, played: 24 }
    const usual = await runSimulation(200, base)
    const curious = await runSimulation(200, { ...base, questionsPerDay: 1_000 })
    assert.ok(curious.received.mean > 5 * usual.received.mean)
    const silent = await runSimulation(200, { ...base, feedbackShare: 0 })
    assert.equal(silent.received.mean, 0)
    const [single, mixed] = [
      await runSimulation(200, { ...base, singleShare: 1 }),
      await runSimulation(200, { ...base, singleShare: 0 }),
    ]
    assert.ok(single.received.share < mixed.received.share && mixed.joined.mixed === 24)
    const [near, far] = [
      await runSimulation(200, { ...base, roundTripMs: 1 }),
      await runSimulation(200, { ...base, serviceMs: 50 }),
    ]
    assert.ok(near.ms.p50 < usual.ms.p50 && far.ms.p50 > usual.ms.p50)
  })

  test('is told in order by its heap, and finds its way among ids', () => {
    const heap = createHeap<number>()
    const random = seededRandom(2)
    const times = Array.from({ length: 200 }, random)
    for (const time of times) heap.push(time, time)
    const told: number[] = []
    for (let next = heap.pop(); next; next = heap.pop()) told.push(next.item)
    assert.deepEqual(
      told,
      times.toSorted((a, b) => a - b),
    )
    const ids = Uint32Array.of(3, 9, 0xffffffff)
    assert.deepEqual(
      [0, 3, 4, 10].map(id => lowerBound(ids, id)),
      [0, 0, 1, 2],
    )
    assert.equal(distance(0xffffffff, 0), 0xffffffff)
  })
})
