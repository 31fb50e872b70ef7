/** Counts a node's DHT messages by kind, and asks its DHT as its own discovery does, seeing each message. */
import type { ContentRouting, CounterGroup, Metrics } from '@libp2p/interface'
import { type RoutingKey, toCid } from '../../router/keyspace.ts'
import type { Libp2pNetworkOptions } from '../../router/network/libp2p.ts'

/** One look-up, carried on until nobody nearer is left to ask, or the time is up. */
export interface Lookup {
  /** Requests tried, whether or not the peer could be reached. */
  rpcs: number
  /** Of them, those that were not answered. */
  failed: number
  ms: number
  /** Until the first holder was known; undefined when none was found. */
  firstMs: number | undefined
  found: number
  /** Peers in the longest chain in which one named the next. */
  hops: number
  /** Whether the time was up before. */
  late: boolean
}

export interface Counters {
  /** Requests sent, by kind. */
  readonly rpcs: Record<string, number>
  readonly metrics: NonNullable<Libp2pNetworkOptions['metrics']>
  /** Announcements and look-ups of the node that are under way. */
  readonly seeking: number
  /** Tells the DHT that this node holds the key, as discovery does. Resolves to how long it took; late ones are given up. */
  announce(key: RoutingKey, signal: AbortSignal): Promise<number>
  lookup(key: RoutingKey, signal: AbortSignal): Promise<Lookup>
  /** Provider records kept for others and for itself. */
  records(): Promise<number>
}

type Components = Parameters<NonNullable<Libp2pNetworkOptions['metrics']>>[0]

const OUTBOUND = 'libp2p_kad_dht_outbound_rpc_requests_total'

export function createCounters(): Counters {
  const rpcs: Record<string, number> = {}
  let components: Components | undefined
  let seeking = 0

  const outbound: CounterGroup = {
    increment(kinds) {
      for (const kind of Object.keys(kinds)) rpcs[kind] = (rpcs[kind] ?? 0) + 1
    },
    reset() {},
  }
  const count = (change: number) => {
    seeking += change
  }
  const started = (): Components => {
    if (!components) throw new Error('this node was not started')
    return components
  }

  return {
    rpcs,
    get seeking() {
      return seeking
    },
    metrics(given) {
      components = given
      // when all of the node is there
      queueMicrotask(() => watch(given.contentRouting, count))
      return onlyCounting(name => (name === OUTBOUND ? outbound : NOTHING))
    },
    async announce(key, signal) {
      const begun = performance.now()
      try {
        await started().contentRouting.provide(toCid(key), { signal })
      } catch (error) {
        if (!signal.aborted) throw error
      }
      return performance.now() - begun
    },
    lookup: (key, signal) => lookUp(started().contentRouting, key, signal),
    async records() {
      let count = 0
      for await (const _ of started().datastore.query({ prefix: '/dht/provider' })) count++
      return count
    },
  }
}

/** Tells of each announcement and look-up when it begins and when it ends. */
function watch(routing: ContentRouting, tell: (change: 1 | -1) => void): void {
  const { provide, findProviders } = routing
  routing.provide = async (...given) => {
    tell(1)
    try {
      await provide.apply(routing, given)
    } finally {
      tell(-1)
    }
  }
  routing.findProviders = async function* (...given) {
    tell(1)
    try {
      yield* findProviders.apply(routing, given)
    } finally {
      tell(-1)
    }
  }
}

async function lookUp(routing: ContentRouting, key: RoutingKey, signal: AbortSignal): Promise<Lookup> {
  const begun = performance.now()
  const lookup: Lookup = { rpcs: 0, failed: 0, ms: 0, firstMs: undefined, found: 0, hops: 0, late: false }
  const depths = new Map<string, number>()
  const onProgress = ({ type, detail }: { type: string; detail?: unknown }) => {
    if (type === 'kad-dht:query:dial-peer') {
      const asked = String((detail as { peer: object }).peer)
      lookup.rpcs++
      // known from the start, whoever names it later
      depths.set(asked, depths.get(asked) ?? 1)
    }
    if (type === 'kad-dht:query:query-error') lookup.failed++
    if (type !== 'kad-dht:query:peer-response') return
    const { from, closer, path } = detail as { from: object; closer: { id: object }[]; path: { index: number } }
    // what the node finds among its own records is told in the same way
    if (path.index < 0) return
    const depth = depths.get(String(from)) ?? 1
    lookup.hops = Math.max(lookup.hops, depth)
    for (const { id } of closer) {
      if (!depths.has(String(id))) depths.set(String(id), depth + 1)
    }
  }
  try {
    for await (const _ of routing.findProviders(toCid(key), { signal, onProgress })) {
      lookup.found++
      lookup.firstMs ??= performance.now() - begun
    }
  } catch (error) {
    if (!signal.aborted) throw error
    lookup.late = true
  }
  lookup.ms = performance.now() - begun
  return lookup
}

const NOTHING = {
  update() {},
  increment() {},
  decrement() {},
  observe() {},
  reset() {},
  timer: () => () => {},
}

function onlyCounting(groupOf: (name: string) => CounterGroup): Metrics {
  const nothing = () => NOTHING
  return {
    trackMultiaddrConnection() {},
    trackProtocolStream() {},
    registerMetric: nothing,
    registerMetricGroup: nothing,
    registerCounter: nothing,
    registerCounterGroup: groupOf,
    registerHistogram: nothing,
    registerHistogramGroup: nothing,
    registerSummary: nothing,
    registerSummaryGroup: nothing,
    traceFunction: (_name: string, fn: never) => fn,
    createTrace() {},
  }
}
