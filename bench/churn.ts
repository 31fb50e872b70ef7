/**
 * What is left behind by peers that come and go: memory, handles and listeners of a process with sixteen nodes, of which one
 * is replaced every few seconds while packets travel.
 */
import { getEventListeners } from 'node:events'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { routingKey } from '../router/keyspace.ts'
import { createLibp2pNetwork, type Libp2pNetwork } from '../router/network/libp2p.ts'
import { readArguments } from './arguments.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  minutes: { type: 'string', default: '60', help: 'how long; an hour for figures that are reported' },
  nodes: { type: 'string', default: '16', help: 'in the one process' },
  records: {
    type: 'string',
    help: 'peers that each remembers; several hundred go past that bound sooner, fewer than its table holds drive out the living',
  },
  'replace-ms': { type: 'string', default: '5000', help: 'between two replacements, ms' },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)
const nodes = Number(values.nodes)
const minutes = Number(values.minutes)
const replaceMs = Number(values['replace-ms'])
const bounds = values.records === undefined ? {} : { maxRecords: Number(values.records) }

const KEYS = Array.from({ length: 8 }, (_, cell) => routingKey('0123abcd', 'general', cell))
const KEYS_A_NODE = 3
const PUBLISH_MS = 250
const SAMPLES = 30
/** Before this share of the time has passed, caches fill and code is compiled. */
const WARM_UP = 0.2
const quiet = { debug() {}, info() {}, warn() {} }

let sent = 0
let received = 0
let replaced = 0

async function startNode(bootstrap: string[]): Promise<Libp2pNetwork> {
  const privateKey = await generateKeyPair('Ed25519')
  const network = createLibp2pNetwork({ privateKey, logger: quiet }, { bootstrap, ...bounds })
  await network.start({
    receive: async () => {
      received += 1
      return 'accept'
    },
    list: async () => [],
  })
  for (let count = 0; count < KEYS_A_NODE; count += 1) network.join(any(KEYS))
  return network
}

function any<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T
}

interface Sample {
  minute: number
  rss_mb: number
  heap_mb: number
  /** Buffers outside of the heap, such as the records of a peer store. */
  external_mb: number
  handles: number
  process_listeners: number
}

function sample(began: number): Sample {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const listeners = process.eventNames().reduce((sum, name) => sum + getEventListeners(process, String(name)).length, 0)
  return {
    minute: Math.round((performance.now() - began) / 600) / 100,
    rss_mb: Math.round(rss / 104_857.6) / 10,
    heap_mb: Math.round(heapUsed / 104_857.6) / 10,
    external_mb: Math.round(external / 104_857.6) / 10,
    handles: process.getActiveResourcesInfo().length,
    process_listeners: listeners,
  }
}

/** Of the least-squares line, a minute. */
function slope(samples: readonly Sample[], field: Exclude<keyof Sample, 'minute'>): number {
  const mean = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length
  const [x, y] = [mean(samples.map(({ minute }) => minute)), mean(samples.map(one => one[field]))]
  const above = samples.reduce((sum, one) => sum + (one.minute - x) * (one[field] - y), 0)
  const below = samples.reduce((sum, { minute }) => sum + (minute - x) ** 2, 0)
  return Math.round((above / below) * 1_000) / 1_000
}

const hub = await startNode([])
const bootstrap = hub.status().addresses
const swarm = [hub]
while (swarm.length < nodes) swarm.push(await startNode(bootstrap))

const began = performance.now()
const end = began + minutes * 60_000
const samples: Sample[] = []
let [nextReplacement, nextSample] = [began + replaceMs, began]

while (performance.now() < end) {
  const now = performance.now()
  if (now >= nextSample) {
    const taken = sample(began)
    samples.push(taken)
    say(JSON.stringify(taken))
    nextSample += (end - began) / SAMPLES
  }
  if (now >= nextReplacement) {
    // all but the one that the others start from
    const place = 1 + Math.floor(Math.random() * (nodes - 1))
    await swarm[place]?.[Symbol.asyncDispose]()
    swarm[place] = await startNode(bootstrap)
    replaced += 1
    nextReplacement += replaceMs
  }
  sent += 1
  await any(swarm).publish(any(KEYS), Buffer.from(`packet ${sent} `.padEnd(300, 'x')))
  await new Promise(resolve => setTimeout(resolve, PUBLISH_MS))
}
samples.push(sample(began))
await Promise.all(swarm.map(network => network[Symbol.asyncDispose]()))

const settled = samples.slice(Math.floor(samples.length * WARM_UP))
const [first, last] = [settled[0], settled.at(-1)]
console.log(
  JSON.stringify({
    nodes,
    minutes,
    replaced,
    sent,
    received,
    rss_mb: [first?.rss_mb, last?.rss_mb],
    heap_mb: [first?.heap_mb, last?.heap_mb],
    external_mb: [first?.external_mb, last?.external_mb],
    handles: [first?.handles, last?.handles],
    process_listeners: [first?.process_listeners, last?.process_listeners],
    rss_mb_per_minute: slope(settled, 'rss_mb'),
    heap_mb_per_minute: slope(settled, 'heap_mb'),
    external_mb_per_minute: slope(settled, 'external_mb'),
    handles_per_minute: slope(settled, 'handles'),
  }),
)
