/** A whole router as a deployment has it, but for the sockets: built-in embedder, shipped space, SQLite in memory. */
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { profiles } from '../../router/disclosure.ts'
import type { Identity } from '../../router/identity.ts'
import { loadIdentity } from '../../router/identity.ts'
import type { RoutingKey } from '../../router/keyspace.ts'
import type { MemorySwarm } from '../../router/network/memory.ts'
import type { Network, NetworkHandlers } from '../../router/network/network.ts'
import {
  createRouter,
  type Insight,
  type Learned,
  type Question,
  type Report,
  type Router,
  type RouterOptions,
} from '../../router/router.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import type { Store } from '../../router/store/store.ts'
import type { Benefit } from '../../router/synthesis/mixing.ts'
import { NOW, shippedSpace, temporaryFolder } from './router-support.ts'

/** Two questions alike, and one about something else, whose nearest cells in the shipped space are others. */
export const TRAIN = 'How do I cancel my train ticket and get a refund?'
export const FLIGHT = 'How do I cancel my flight ticket and get a refund?'
export const LINKED_LIST = 'Write a Python function that reverses a linked list.'
export const MODEL = 'llama-3.1-8b-instruct'

const embedder = createStaticEmbedder()

/** A clock that stands still until it is told otherwise. */
export interface Clock {
  /** Unix seconds. */
  now: number
}

export interface NodeOptions extends Partial<RouterOptions> {
  clock?: Clock
  random?: () => number
  /** Database file. @default ':memory:' */
  file?: string
  busyTimeoutMs?: number
  /** Key file; a new key when absent. */
  identityFile?: string
  /** Whose packets count; everybody's unless given. */
  admits?: (author: string) => boolean
  /** Stands between the router and its network. */
  wrap?: (network: Network) => Network
  /** Stands between the router and its store. */
  wrapStore?: (store: Store) => Store
}

export interface RouterNode extends AsyncDisposable {
  router: Router
  identity: Identity
  store: Store
  network: Network
  clock: Clock
  /** What became of each packet that arrived, in order. */
  received: string[]
  /** Key and exact bytes of each packet that arrived and was accepted, in order. */
  accepted: { key: RoutingKey; bytes: Uint8Array }[]
  sent: { recipients: number; bytes: number }[]
  benefits: Benefit[]
  withheld: number
  withheldFor: string[]
  deferred: number
  warnings: string[]
  /** What the network calls; there once the router has started a network. */
  handlers(): NetworkHandlers
  ask(text: string, question?: Partial<Question>): Promise<Insight>
  learn(text: string, report?: Partial<Report>): Promise<Learned>
}

/** A started node; packets leave whole and at once unless `profile` says otherwise. */
export async function startNode(swarm: MemorySwarm, options: NodeOptions = {}): Promise<RouterNode> {
  const { clock = { now: NOW }, random = () => 0.5, file = ':memory:', wrap = network => network } = options
  const { wrapStore = store => store } = options
  const { busyTimeoutMs = 50, mode = 'share', profile = profiles.open } = options
  await using building = new AsyncDisposableStack()
  const space = await shippedSpace()
  const folder = building.use(await temporaryFolder())
  const identity = await loadIdentity(options.identityFile ?? folder.path('identity.key'))
  const database = building.use(await openDatabase({ file, schemas: [routerSchema], busyTimeoutMs }))
  const store = wrapStore(createSqliteStore(database))

  const seen: Pick<
    RouterNode,
    'received' | 'accepted' | 'benefits' | 'sent' | 'withheld' | 'withheldFor' | 'deferred' | 'warnings'
  > = {
    received: [],
    accepted: [],
    sent: [],
    benefits: [],
    withheld: 0,
    withheldFor: [],
    deferred: 0,
    warnings: [],
  }
  let handlers: NetworkHandlers | undefined
  const inner = swarm.createNetwork({ id: identity.id })
  const network = wrap({
    ...inner,
    start(given) {
      handlers = {
        ...given,
        async receive(key, bytes, from) {
          const verdict = await given.receive(key, bytes, from)
          if (verdict === 'accept') seen.accepted.push({ key, bytes })
          return verdict
        },
      }
      return inner.start(handlers)
    },
  })
  const router = createRouter(
    {
      space,
      store,
      network,
      identity,
      clock: () => clock.now * 1000,
      random,
      ...(options.admits && { admits: options.admits }),
      logger: { debug() {}, info() {}, warn: (_details, message = '') => void seen.warnings.push(message) },
      observer: {
        packetReceived: result => void seen.received.push(result),
        packetSent: (recipients, bytes) => void seen.sent.push({ recipients, bytes }),
        benefitMeasured: benefit => void seen.benefits.push(benefit),
        outcomeWithheld(reason) {
          seen.withheld++
          seen.withheldFor.push(reason)
        },
        departureDeferred() {
          seen.deferred++
        },
      },
    },
    { ...options, mode, profile },
  )
  building.defer(() => router.stop())
  await router.start()

  const vectorOf = async (text: string): Promise<Float32Array> => (await embedder.embed([text]))[0] as Float32Array
  const ask = async (text: string, question: Partial<Question> = {}) =>
    router.lookup({ vector: await vectorOf(text), domain: 'general', model: MODEL, ...question })
  let requests = 0
  const kept = building.move()
  return Object.assign(seen, {
    router,
    identity,
    store,
    network,
    clock,
    handlers() {
      if (!handlers) throw new Error('this router has started no network')
      return handlers
    },
    ask,
    async learn(text: string, report: Partial<Report> = {}) {
      const { code } = await ask(text)
      return router.learn({
        requestId: `request-${requests++}`,
        code,
        domain: 'general',
        model: MODEL,
        signal: 1,
        observer: 'h',
        intervention: 0,
        ...report,
      })
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  })
}
