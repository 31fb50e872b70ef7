/** A libp2p network while it runs: starts the node, wires its parts to each other, and takes them down again. */
import type { Connection, PeerId, PeerInfo } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { RoutingKey } from '../keyspace.ts'
import { openAddressBook } from './address-book.ts'
import { createBackfill } from './backfill.ts'
import { createBackground } from './background.ts'
import { type Bootstrap, startBootstrap } from './bootstrap.ts'
import { createCompany } from './company.ts'
import { tendContacts } from './contacts.ts'
import { deadline, within } from './deadline.ts'
import { createDiscovery } from './discovery.ts'
import type { NetworkEvent } from './events.ts'
import { createExchange, MAX_SYNC_STREAMS, SYNC_PROTOCOL } from './exchange.ts'
import { createGate, FAILED_CONNECTIONS, hostOf, TURNS } from './gate.ts'
import { createGossip } from './gossip.ts'
import { createHandshakes } from './handshakes.ts'
import { createJudge } from './judge.ts'
import { stayNear } from './nearest.ts'
import { type Connected, type NetworkHandlers, NetworkStartError } from './network.ts'
import { createNode, type Node } from './node.ts'
import type { Libp2pNetworkComponents, Settings } from './options.ts'
import { createPlaces } from './places.ts'
import { createRateLimit } from './rate-limit.ts'
import { followReachability } from './reachability.ts'
import { createReputation } from './reputation.ts'
import { keepRoom } from './room.ts'
import { createThrottle } from './throttle.ts'

export interface Running {
  addresses(): string[]
  peers(): string[]
  connected(): Connected[]
  join(key: RoutingKey): void
  leave(key: RoutingKey): void
  publish(key: RoutingKey, bytes: Uint8Array, signal?: AbortSignal): Promise<number>
  backfill(key: RoutingKey, signal?: AbortSignal): Promise<number>
  /** From now on, these alone may connect; others are let go. */
  admitOnly(members: readonly string[] | undefined): void
  stop(): Promise<void>
}

/** To one peer: enough for a newcomer that joins hundreds of keys. */
const PAGES_SERVED = { perSecond: 10, burst: 1_000 }
/** Keys refilled at each tending. */
const REFILLS_PER_TENDING = 4
const DHT_REQUEST_COST = 2_048
/** That a peer which had to be shunned counts for: its owner comes back under another name. */
const SHUNNED_FAILURES = 5
/** Seconds of a peer's rate that it may save up, and that one never seen before is given. */
const SAVED_S = 16
const CREDIT_S = 0.5

/** Joins what is in `joined` already; `join` and `leave` follow a change of it. */
export async function startNetwork(
  components: Libp2pNetworkComponents & { handlers: NetworkHandlers; joined: ReadonlySet<RoutingKey> },
  settings: Settings,
): Promise<Running> {
  const { privateKey, logger, handlers, joined, observer } = components
  const now = () => performance.now()
  const count = (event: NetworkEvent) => observer?.networkEvent(event)

  const reputation = createReputation({ now })
  const shunned = (peer: PeerId) => reputation.shunned(peer.toString())
  let members = settings.members && new Set(settings.members)
  const admitted = (peer: string) => members === undefined || members.has(peer)
  const throttle = createThrottle(
    { now, onSlowed: () => count('peer_slowed') },
    {
      perSecond: settings.peerCostPerSecond,
      burst: SAVED_S * settings.peerCostPerSecond,
      credit: CREDIT_S * settings.peerCostPerSecond,
      streamCost: DHT_REQUEST_COST,
    },
  )
  const failures = createRateLimit({ now }, FAILED_CONNECTIONS)
  const turns = createRateLimit({ now }, TURNS)
  const gate = createGate(
    {
      admitted,
      shunned: reputation.shunned,
      connections: () => node.getConnections(),
      failures,
      turns,
      count,
    },
    settings,
  )
  const handshakes = createHandshakes({
    count,
    onStranger(connection) {
      const host = hostOf(connection)
      if (host !== undefined) failures.take(host)
    },
  })
  const { node, contacts } = await prepare()
  handshakes.follow(node)
  const book = await openAddressBook(settings.addressBook, logger)

  function letGo(peer: PeerId): void {
    node.hangUp(peer, { signal: deadline(settings.dialDeadlineMs) }).catch(() => {})
  }

  function blame(peer: PeerId): void {
    if (!reputation.blame(peer.toString())) return
    count('peer_shunned')
    logger.warn({ peer: peer.toString() }, 'a peer keeps breaking the rules and is shunned')
    for (const connection of node.getConnections(peer)) {
      const host = hostOf(connection)
      for (let failure = 0; host !== undefined && failure < SHUNNED_FAILURES; failure += 1) failures.take(host)
      connection.abort(new Error('this peer is shunned'))
    }
    letGo(peer)
  }

  const perSecond = (rate: number, burst: number) => createRateLimit({ now }, { perSecond: rate, burst })
  const { judge, list } = createJudge<PeerId>({ handlers, idOf: String, blame, logger })
  const background = createBackground(
    { logger },
    { concurrency: 2, maxWaiting: 4_096, deadlineMs: settings.backfillDeadlineMs },
  )
  const exchange = createExchange(
    { list, limit: createRateLimit({ now }, PAGES_SERVED), blame, count, logger },
    { pageSize: settings.pageSize, maxPackets: settings.backfillPackets, pageDeadlineMs: settings.pageDeadlineMs },
  )
  const gossip = createGossip({
    pubsub: node.services.pubsub,
    joined,
    limit: perSecond(settings.packetsPerSecond, 10 * settings.packetsPerSecond),
    totalLimit: perSecond(settings.totalPacketsPerSecond, 4 * settings.totalPacketsPerSecond),
    throttle,
    count,
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
      const contacts = [...new Set([...settings.bootstrap, ...settings.relays])].map(address => multiaddr(address))
      // called once the node runs, when all of this is there
      const onNeighbour = (peer: PeerInfo) => company.greet(peer)
      const guilt = reputation.guilt
      const parts = { privateKey, gate, throttle, handshakes, guilt, onNeighbour }
      return { node: await createNode(parts, settings), contacts }
    } catch (error) {
      const { listen, announce, bootstrap, relays } = settings
      const addresses = [...listen, ...announce, ...bootstrap, ...relays].join(', ')
      throw new NetworkStartError(`cannot make a node of ${addresses}: ${reasonOf(error)}`, { cause: error })
    }
  }

  let bootstrap: Bootstrap | undefined
  const isKept = (peer: PeerId) => bootstrap?.includes(peer) ?? false
  const company = createCompany({ node, isKept, count, logger, now }, settings)
  chargeDhtRequests(node, peer => throttle.charge(peer, DHT_REQUEST_COST))
  tendContacts({ node, logger }, settings)
  stayNear({ node, logger }, settings)

  try {
    await node.handle(SYNC_PROTOCOL, exchange.serve, {
      maxInboundStreams: MAX_SYNC_STREAMS,
      maxOutboundStreams: MAX_SYNC_STREAMS,
    })
    await node.start()
  } catch (error) {
    company.stop()
    await cutOff(node, settings.stopDeadlineMs)
    throw new NetworkStartError(`cannot listen on ${settings.listen.join(', ')}: ${reasonOf(error)}`, { cause: error })
  }

  function join(key: RoutingKey): void {
    gossip.subscribe(key)
    for (const peer of subscribers(key)) backfill.refill(key, peer)
    discovery.tend(key)
  }

  function tend(): void {
    void book.update(node)
    places.tend()
    for (const key of joined) discovery.seek(key)
    const keys = [...joined]
    for (let count = 0; count < Math.min(REFILLS_PER_TENDING, keys.length); count += 1) {
      const key = anyOf(keys)
      const peer = key === undefined ? undefined : anyOf(subscribers(key))
      if (key !== undefined && peer !== undefined) backfill.refill(key, peer)
    }
  }

  const onGone = ({ detail: peer }: CustomEvent<PeerId>) => backfill.lose(peer)
  node.addEventListener('peer:disconnect', onGone)
  for (const key of joined) join(key)
  discovery.start()
  const places = createPlaces({ node, background, logger })
  const relays = new Set(settings.relays.map(address => multiaddr(address).toString()))
  bootstrap = startBootstrap(
    {
      node,
      logger,
      onReached(connection, address) {
        if (relays.has(address.toString())) places.take(connection)
        discovery.welcome()
      },
    },
    { addresses: contacts, fallbacks: book.addresses, dialDeadlineMs: settings.dialDeadlineMs },
  )
  const endRoom = keepRoom({ node, isKept, isUseful: gossip.sharesKey, turns, count, logger }, settings)
  const unfollow = settings.dhtMode === 'auto' ? followReachability({ node, logger }) : () => {}
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
    connected: () => byPeer(node.getConnections()),
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
    admitOnly(given) {
      members = given && new Set(given)
      for (const peer of node.getPeers()) if (!admitted(peer.toString())) letGo(peer)
    },
    async stop() {
      clearInterval(tending)
      node.removeEventListener('peer:disconnect', onGone)
      unfollow()
      bootstrap?.stop()
      discovery.stop()
      endRoom()
      company.stop()
      gossip.stop()
      background.stop()
      await within(deadline(settings.stopDeadlineMs), book.update(node)).catch(error =>
        logger.debug({ err: error }, 'the address book could not be brought up to date'),
      )
      await cutOff(node, settings.stopDeadlineMs)
    },
  }
}

function byPeer(connections: readonly Connection[]): Connected[] {
  return [...Map.groupBy(connections, ({ remotePeer }) => remotePeer.toString())].map(([id, ways]) => ({
    id,
    addresses: ways.map(({ remoteAddr }) => remoteAddr.toString()),
    since: Math.floor(Math.min(...ways.map(({ timeline }) => timeline.open)) / 1000),
  }))
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

/** kad-dht answers as many requests as come on one stream; what it answers them with is not in its type. */
function chargeDhtRequests(node: Node, charge: (peer: string) => void): void {
  type Rpc = { handleMessage(peer: PeerId, message: unknown): Promise<unknown> }
  const { rpc } = node.services.dht as unknown as { rpc: Rpc }
  const handleMessage = rpc.handleMessage.bind(rpc)
  rpc.handleMessage = (peer, message) => {
    charge(peer.toString())
    return handleMessage(peer, message)
  }
}

function anyOf<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

/** libp2p tells of an address that cannot be listened on in several lines, a stack among them. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /Error: (.+)/.exec(message)?.[1] ?? message
}
