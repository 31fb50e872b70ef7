/** A libp2p network while it runs: starts the node, wires its parts to each other, and takes them down again. */
import type { PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { RoutingKey } from '../keyspace.ts'
import { createBackfill } from './backfill.ts'
import { createBackground } from './background.ts'
import { startBootstrap } from './bootstrap.ts'
import { deadline, within } from './deadline.ts'
import { createDiscovery } from './discovery.ts'
import { createExchange, MAX_SYNC_STREAMS, SYNC_PROTOCOL } from './exchange.ts'
import { createGossip } from './gossip.ts'
import { createJudge } from './judge.ts'
import { type NetworkHandlers, NetworkStartError } from './network.ts'
import { createNode, type Node } from './node.ts'
import type { Libp2pNetworkComponents, Settings } from './options.ts'
import { createRateLimit } from './rate-limit.ts'
import { createReputation } from './reputation.ts'

export interface Running {
  addresses(): string[]
  peers(): string[]
  join(key: RoutingKey): void
  leave(key: RoutingKey): void
  publish(key: RoutingKey, bytes: Uint8Array, signal?: AbortSignal): Promise<number>
  backfill(key: RoutingKey, signal?: AbortSignal): Promise<number>
  stop(): Promise<void>
}

/** To one peer: enough for a newcomer that joins hundreds of keys. */
const PAGES_SERVED = { perSecond: 10, burst: 1_000 }
/** Keys refilled at each tending. */
const REFILLS_PER_TENDING = 4

/** Joins what is in `joined` already; `join` and `leave` follow a change of it. */
export async function startNetwork(
  components: Libp2pNetworkComponents & { handlers: NetworkHandlers; joined: ReadonlySet<RoutingKey> },
  settings: Settings,
): Promise<Running> {
  const { privateKey, logger, handlers, joined } = components
  const now = () => performance.now()

  const reputation = createReputation({ now })
  const shunned = (peer: PeerId) => reputation.shunned(peer.toString())
  const deny = (peer: PeerId) => shunned(peer) || !settings.admit(peer.toString())
  const { node, bootstrapAddresses } = await prepare()

  function blame(peer: PeerId): void {
    if (!reputation.blame(peer.toString())) return
    logger.warn({ peer: peer.toString() }, 'a peer keeps breaking the rules and is shunned')
    node.hangUp(peer, { signal: deadline(settings.dialDeadlineMs) }).catch(() => {})
  }

  const { judge, list } = createJudge({ handlers, blame, logger })
  const background = createBackground(
    { logger },
    { concurrency: 2, maxWaiting: 4_096, deadlineMs: settings.backfillDeadlineMs },
  )
  const exchange = createExchange(
    { list, limit: createRateLimit({ now }, PAGES_SERVED), blame, logger },
    { pageSize: settings.pageSize, maxPackets: settings.backfillPackets, pageDeadlineMs: settings.pageDeadlineMs },
  )
  const gossip = createGossip({
    pubsub: node.services.pubsub,
    joined,
    limit: createRateLimit({ now }, { perSecond: settings.packetsPerSecond, burst: 10 * settings.packetsPerSecond }),
    judge,
    shunned,
    blame,
    onSubscriber: (peer, key) => {
      if (joined.has(key)) backfill.refill(key, peer)
    },
  })
  const { subscribers } = gossip
  const discovery = createDiscovery({ node, background, joined, subscribers, logger, now }, settings)
  const backfill = createBackfill(
    {
      exchange,
      background,
      judge,
      subscribers,
      find: discovery.find,
      connect: async (peer, outer) => {
        const signal = deadline(settings.dialDeadlineMs, outer)
        return within(signal, node.dial(peer, { signal }))
      },
      shunned,
      now,
      logger,
    },
    settings,
  )

  async function prepare() {
    try {
      const bootstrapAddresses = settings.bootstrap.map(address => multiaddr(address))
      return { node: await createNode({ privateKey, deny }, settings), bootstrapAddresses }
    } catch (error) {
      const addresses = [...settings.listen, ...settings.announce, ...settings.bootstrap].join(', ')
      throw new NetworkStartError(`cannot make a node of ${addresses}: ${reasonOf(error)}`, { cause: error })
    }
  }

  try {
    await node.handle(SYNC_PROTOCOL, exchange.serve, {
      maxInboundStreams: MAX_SYNC_STREAMS,
      maxOutboundStreams: MAX_SYNC_STREAMS,
    })
    await node.start()
  } catch (error) {
    await cutOff(node, settings.stopDeadlineMs)
    throw new NetworkStartError(`cannot listen on ${settings.listen.join(', ')}: ${reasonOf(error)}`, { cause: error })
  }

  function join(key: RoutingKey): void {
    gossip.subscribe(key)
    for (const peer of subscribers(key)) backfill.refill(key, peer)
    discovery.tend(key)
  }

  function tend(): void {
    for (const key of joined) discovery.seek(key)
    const keys = [...joined]
    for (let count = 0; count < Math.min(REFILLS_PER_TENDING, keys.length); count += 1) {
      const key = anyOf(keys)
      const peer = key === undefined ? undefined : anyOf(subscribers(key))
      if (key !== undefined && peer !== undefined) backfill.refill(key, peer)
    }
  }

  for (const key of joined) join(key)
  discovery.start()
  const bootstrap = startBootstrap(
    { node, logger, onReached: discovery.tendAll },
    { addresses: bootstrapAddresses, dialDeadlineMs: settings.dialDeadlineMs },
  )
  const tending = setInterval(tend, settings.tendMs).unref()

  /** One search a key at a time, whoever waits for it. */
  const searches = new Map<RoutingKey, Promise<void>>()

  /** Resolves when somebody who joined the key can be reached, nobody was found, or the time is up. */
  async function search(key: RoutingKey): Promise<void> {
    const over = new AbortController()
    const signal = deadline(settings.meetDeadlineMs, over.signal)
    const meeting = discovery.meet(key, signal).then(met => {
      if (met === 0) over.abort()
    })
    try {
      await gossip.untilHeard(key, signal)
    } finally {
      over.abort()
      await meeting
      searches.delete(key)
    }
  }

  return {
    addresses: () => node.getMultiaddrs().map(String),
    peers: () => node.getPeers().map(String),
    join,
    leave(key) {
      gossip.unsubscribe(key)
      backfill.forget(key)
      discovery.forget(key)
    },
    async publish(key, bytes, signal) {
      if (!gossip.heard(key)) {
        const searching = searches.get(key) ?? search(key)
        searches.set(key, searching)
        await (signal === undefined ? searching : within(signal, searching))
      }
      return gossip.publish(key, bytes)
    },
    backfill: backfill.fill,
    async stop() {
      clearInterval(tending)
      bootstrap.stop()
      discovery.stop()
      gossip.stop()
      background.stop()
      await cutOff(node, settings.stopDeadlineMs)
    },
  }
}

/** Stops the node, politely at first. */
async function cutOff(node: Node, deadlineMs: number): Promise<void> {
  const late = new AbortController()
  // unlike AbortSignal.timeout, this keeps the process up until the node has stopped
  const timer = setTimeout(() => late.abort(new Error('the node is slow to stop')), deadlineMs)
  try {
    await within(late.signal, Promise.resolve(node.stop()))
  } catch (error) {
    for (const connection of node.getConnections()) {
      connection.abort(error instanceof Error ? error : new Error('the node cannot stop', { cause: error }))
    }
  } finally {
    clearTimeout(timer)
  }
}

function anyOf<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
