/** One deployment of the measured swarm: router, built-in embedder and libp2p as in the sidecar, with a journal beside. */
import { join } from 'node:path'
import type { Embedder } from '../../embeddings/embedder.ts'
import { insightHeaders } from '../../proxy/insight-headers.ts'
import { profiles } from '../../router/disclosure.ts'
import { loadIdentity } from '../../router/identity.ts'
import type { RoutingKey } from '../../router/keyspace.ts'
import { createLibp2pNetwork } from '../../router/network/libp2p.ts'
import type { Network } from '../../router/network/network.ts'
import { createRouter } from '../../router/router.ts'
import type { Space } from '../../router/space.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import { unobserved } from '../../router/telemetry.ts'
import { type Counters, createCounters } from './counters.ts'
import { answersIn, createWire, type Wire } from './wire.ts'

/** All times are Unix milliseconds, alike in all processes of a machine. */
export interface Journal {
  joins: { key: RoutingKey; at: number }[]
  leaves: { key: RoutingKey; at: number }[]
  /** Keys that were filled once because a question touched them. */
  visits: RoutingKey[]
  /** Packets handed out, by the name of their answer. */
  sent: { answer: string; key: RoutingKey; at: number; recipients: number }[]
  /** Packets that were accepted, each once. */
  arrivals: { answer: string; key: RoutingKey; at: number }[]
  /** The first look-up after an arrival that gave a question other headers than before it. */
  changes: { answer: string; text: string; at: number }[]
}

export interface SwarmNode extends AsyncDisposable {
  readonly id: string
  readonly address: string
  readonly network: Network
  readonly journal: Journal
  readonly wire: Wire
  readonly counters: Counters
  /** Asks, and from then on looks at the headers of this question after each arrival. */
  ask(text: string): Promise<void>
  /** Gives feedback on an answer to this question. Resolves to when it was given, and to the name of the answer. */
  learn(text: string, signal: number): Promise<{ at: number; answer: string }>
}

export const DOMAIN = 'general'
const MODEL = 'llama-3.1-8b-instruct'
/** Questions whose headers are looked at, the latest ones. */
const MAX_WATCHED = 16

export const now = () => performance.timeOrigin + performance.now()

export async function startNode(
  components: { embedder: Embedder; space: Space; folder: string },
  options: { name: string; bootstrap: string[] },
): Promise<SwarmNode> {
  const { embedder, space, folder } = components
  await using building = new AsyncDisposableStack()
  const identity = await loadIdentity(join(folder, `${options.name}.key`))
  const database = building.use(
    await openDatabase({ file: join(folder, `${options.name}.db`), schemas: [routerSchema] }),
  )
  const logger = { debug() {}, info() {}, warn() {} }
  const wire = createWire()
  const counters = createCounters()
  const journal: Journal = { joins: [], leaves: [], visits: [], sent: [], arrivals: [], changes: [] }
  const watched = new Map<string, { vector: Float32Array; headers: string }>()

  const inner = createLibp2pNetwork(
    { privateKey: identity.privateKey, logger },
    { bootstrap: options.bootstrap, capture: wire.capture, metrics: counters.metrics },
  )
  const network: Network = {
    ...inner,
    start: handlers =>
      inner.start({
        ...handlers,
        async receive(key, bytes, from) {
          const verdict = await handlers.receive(key, bytes, from)
          const [answer] = answersIn(bytes)
          if (verdict === 'accept' && answer !== undefined) noteArrival(key, answer)
          return verdict
        },
      }),
    join(key) {
      journal.joins.push({ key, at: now() })
      inner.join(key)
    },
    leave(key) {
      journal.leaves.push({ key, at: now() })
      inner.leave(key)
    },
    async publish(key, bytes, given) {
      const at = now()
      const recipients = await inner.publish(key, bytes, given)
      for (const answer of answersIn(bytes)) journal.sent.push({ answer, key, at, recipients })
      return recipients
    },
    backfill(key, given) {
      journal.visits.push(key)
      return inner.backfill(key, given)
    },
  }
  const store = createSqliteStore(database)
  let learnt = ''
  const router = createRouter(
    {
      space,
      store: {
        ...store,
        putOutcome(outcome, ...rest) {
          learnt = outcome.answer
          return store.putOutcome(outcome, ...rest)
        },
      },
      network,
      identity,
      logger,
      observer: unobserved,
    },
    { mode: 'share', profile: profiles.open },
  )
  building.defer(() => router.stop())
  await router.start()

  const lookup = (vector: Float32Array, { asked }: { asked: boolean }) =>
    router.lookup({ vector, domain: DOMAIN, model: MODEL, asked })
  const headersFor = (vector: Float32Array, options: { asked: boolean }) =>
    JSON.stringify(insightHeaders({ requestId: '', insight: lookup(vector, options), debug: false }))

  function noteArrival(key: RoutingKey, answer: string): void {
    journal.arrivals.push({ answer, key, at: now() })
    for (const [text, watch] of watched) {
      // who only looks must not draw the network's attention
      const headers = headersFor(watch.vector, { asked: false })
      if (headers === watch.headers) continue
      watch.headers = headers
      journal.changes.push({ answer, text, at: now() })
    }
  }

  async function vectorOf(text: string): Promise<Float32Array> {
    const [vector] = await embedder.embed([text])
    if (!vector) throw new Error('the embedder gave no vector')
    return vector
  }

  let requests = 0
  const kept = building.move()
  return {
    id: identity.id,
    address: inner.status().addresses[0] ?? '',
    network,
    journal,
    wire,
    counters,
    async ask(text) {
      const vector = await vectorOf(text)
      watched.delete(text)
      watched.set(text, { vector, headers: headersFor(vector, { asked: true }) })
      const [oldest] = watched.keys()
      if (watched.size > MAX_WATCHED && oldest !== undefined) watched.delete(oldest)
    },
    async learn(text, signal) {
      const { code } = lookup(await vectorOf(text), { asked: false })
      const at = now()
      const report = { requestId: `request-${requests++}`, code, domain: DOMAIN, model: MODEL } as const
      await router.learn({ ...report, signal, observer: 'h', intervention: 0 })
      return { at, answer: learnt }
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
