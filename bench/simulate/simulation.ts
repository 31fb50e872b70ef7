/** A whole swarm, simulated: what look-ups cost in it, what its nodes send and keep in a day, and where it is hottest. */

import { routingKey } from '../../router/keyspace.ts'
import { CELLS, type Space } from '../../router/space.ts'
import { mean, quantile } from '../swarm/fit.ts'
import { drawIds, idOfKey, mix, type Random } from './ids.ts'
import { drawPopulation, MAX_JOINED, NO_CELL, normal, type PopulationOptions } from './population.ts'
import { runQuery } from './query.ts'
import { createTables } from './tables.ts'

export interface SimulationOptions extends PopulationOptions {
  lookups: number
  /** Paths of a look-up. @default as the router's network */
  disjointPaths?: number
  /** Share of nodes that name only each other in the DHT, and give nothing. @default 0 */
  hostileShare?: number
  /** Bits at which a node's routing table stops to split. @default 6, as kad-dht */
  prefixBits?: number
  /** Median of the time that a request and its answer travel, ms. */
  roundTripMs: number
  /** What a request costs the asker's machine, ms. */
  serviceMs: number
  /** Share of questions that get feedback. */
  feedbackShare: number
  seed: number
  random: Random
}

export interface Simulated {
  n: number
  tableSize: number
  rpcs: { p50: number; p99: number }
  hops: { p50: number; p99: number }
  ms: { p50: number; p99: number }
  /** Requests that had left when the first holder answered. */
  firstRpcs: number
  /** Of look-ups for what a single node announced. */
  foundShare: number
  joined: { single: number; mixed: number }
  /** Messages that a node sends in a day, mean. */
  perDay: {
    /** DHT requests and answers to keep the routing table. */
    upkeep: number
    /** The same to announce cells, renew them, and find their holders. */
    announcing: number
    /** Requests and answers of backfill. */
    backfill: number
    /** Packets, own and passed on. */
    packets: number
    total: number
  }
  /** Packets that a node receives in a day, mean, each counted once; and of all packets. */
  received: { mean: number; single: number; mixed: number; share: number }
  /** Bytes of packets that a node holds with the default life of a packet. */
  packetBytes: number
  /** Provider records that are sent to a node, and those that it keeps: at most 64 a key. */
  records: { mean: number; max: number; keptMean: number; keptMax: number }
  hottest: { subscribers: number; packetsPerDay: number; packetShare: number }
}

/** kad-dht asks for its own id and refreshes its table every five minutes each. */
const ROUNDS_PER_DAY = 288
/** Renewed at the first hourly check after four hours. */
const RENEWALS_PER_DAY = 24 / 5
const REFILLS_PER_ROUND = 4
/** Connected peers wanted for each cell; the search for them ends there. */
const COPIES = 6
const PACKET_BYTES = 400
const LIFE_DAYS = 7
/** Spread of round trips: 5 % are over twice the median. */
const TRIP_SIGMA = 0.42
const ANNOUNCERS_PER_CELL = 4
/** As router/network/datastore.ts. */
const MAX_PROVIDERS_PER_KEY = 64

export function simulate(space: Space, options: SimulationOptions): Simulated {
  const { nodes, random, seed, serviceMs, feedbackShare, hostileShare = 0 } = options
  const ids = drawIds(nodes, random)
  const tables = createTables(ids, {
    seed,
    ...(options.prefixBits !== undefined && { prefixBits: options.prefixBits }),
  })
  const roundTripMs = () => options.roundTripMs * Math.exp(TRIP_SIGMA * normal(random))
  const anyNode = () => Math.floor(random() * nodes)
  const isHostile = (node: number) => mix(seed, 1, node) < hostileShare * 2 ** 32
  const querying = {
    roundTripMs,
    serviceMs,
    isHostile,
    ...(options.disjointPaths !== undefined && { disjointPaths: options.disjointPaths }),
  }
  const query = (asker: number, target: number, holds?: (peer: number) => boolean) =>
    runQuery({ tables, random, ...(holds && { holds }) }, asker, target, querying)

  const lookups = Array.from({ length: options.lookups }, (_, at) => {
    const target = mix(seed, at)
    const announcer = anyNode()
    const seeker = (announcer + 1 + Math.floor(random() * (nodes - 1))) % nodes
    const holders = new Set(query(announcer, target).nearest.filter(holder => !isHostile(holder)))
    const found = query(seeker, target, peer => holders.has(peer))
    return { ...found, found: holders.has(seeker) || found.first !== undefined }
  })
  const rpcs = lookups.map(lookup => lookup.rpcs)
  const rpcsMean = mean(rpcs)
  const firstRpcs = mean(lookups.map(lookup => lookup.first?.rpcs ?? lookup.rpcs))

  const population = drawPopulation(space, random, options)
  const asked = population.questionsPerDay.reduce((sum, questions) => sum + questions, 0)
  const packetsOf = Array.from(population.askedShare, share => share * asked * feedbackShare)
  const received: Record<'single' | 'mixed', number[]> = { single: [], mixed: [] }
  const joined: Record<'single' | 'mixed', number[]> = { single: [], mixed: [] }
  for (let node = 0; node < nodes; node++) {
    const cells = population.joined
      .subarray(node * MAX_JOINED, (node + 1) * MAX_JOINED)
      .filter(cell => cell !== NO_CELL)
    const kind = population.single[node] ? 'single' : 'mixed'
    joined[kind].push(cells.length)
    received[kind].push(cells.reduce((sum, cell) => sum + (packetsOf[cell] as number), 0))
  }
  const all = [...received.single, ...received.mixed]
  const packets = packetsOf.reduce((sum, count) => sum + count, 0)
  const receivedMean = mean(all)
  const cellsMean = mean([...joined.single, ...joined.mixed])

  // a request and its answer are two messages
  const upkeep = 2 * ROUNDS_PER_DAY * (1 + refreshes(tables.size(0))) * rpcsMean
  const announcements = cellsMean * RENEWALS_PER_DAY + population.joinsPerDay
  const stored = Math.min(tables.k, nodes - 1)
  const announcing = announcements * (2 * rpcsMean + stored) + population.joinsPerDay * 2 * firstRpcs
  const backfill = 2 * (ROUNDS_PER_DAY * REFILLS_PER_ROUND + population.joinsPerDay * 3)
  const passedOn = receivedMean * COPIES
  const hottest = packetsOf.indexOf(Math.max(...packetsOf))
  return {
    n: nodes,
    tableSize: tables.size(0),
    rpcs: spread(rpcs),
    hops: spread(lookups.map(({ hops }) => hops)),
    ms: spread(lookups.map(({ ms }) => ms)),
    firstRpcs,
    foundShare: mean(lookups.map(({ found }) => (found ? 1 : 0))),
    joined: { single: mean(joined.single), mixed: mean(joined.mixed) },
    perDay: { upkeep, announcing, backfill, packets: passedOn, total: upkeep + announcing + backfill + passedOn },
    received: {
      mean: receivedMean,
      single: mean(received.single),
      mixed: mean(received.mixed),
      share: receivedMean / packets,
    },
    packetBytes: receivedMean * LIFE_DAYS * PACKET_BYTES,
    records: recordsPerNode(space, population.subscribers, nodes, anyNode, query),
    hottest: {
      subscribers: Math.max(...population.subscribers),
      packetsPerDay: packetsOf[hottest] as number,
      packetShare: (packetsOf[hottest] as number) / packets,
    },
  }
}

/** kad-dht refreshes one prefix for each whole byte that its nearest known peer shares with it, and one for none. */
function refreshes(tableSize: number): number {
  return 1 + Math.floor(Math.log2(tableSize) / 8)
}

/** Where announcements end up: some of each cell's subscribers announce it, and stand for the others. */
function recordsPerNode(
  space: Space,
  subscribers: Uint32Array,
  nodes: number,
  anyNode: () => number,
  query: (asker: number, target: number) => { nearest: number[] },
) {
  const sent = new Float64Array(nodes)
  const kept = new Float64Array(nodes)
  for (let cell = 0; cell < CELLS; cell++) {
    const announcers = subscribers[cell] as number
    const sample = Math.min(announcers, ANNOUNCERS_PER_CELL)
    const target = idOfKey(routingKey(space.id, 'general', cell))
    const here = new Map<number, number>()
    for (let at = 0; at < sample; at++) {
      for (const holder of query(anyNode(), target).nearest) {
        here.set(holder, (here.get(holder) ?? 0) + announcers / sample)
      }
    }
    for (const [holder, count] of here) {
      sent[holder] = (sent[holder] as number) + count
      kept[holder] = (kept[holder] as number) + Math.min(count, MAX_PROVIDERS_PER_KEY)
    }
  }
  const most = (of: Float64Array) => of.reduce((max, value) => Math.max(max, value), 0)
  const average = (of: Float64Array) => of.reduce((sum, value) => sum + value, 0) / nodes
  return { mean: average(sent), max: most(sent), keptMean: average(kept), keptMax: most(kept) }
}

function spread(values: readonly number[]): { p50: number; p99: number } {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) }
}
