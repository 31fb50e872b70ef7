/** Keeps this node known to, and connected with, the peers that share its keys; all of it in the background. */
import type { PeerId } from '@libp2p/interface'
import { type RoutingKey, toCid } from '../keyspace.ts'
import type { Logger } from '../telemetry.ts'
import type { Background } from './background.ts'
import { deadline, within } from './deadline.ts'
import type { Node } from './node.ts'

export interface Discovery {
  /** From now on, new peers in the DHT are welcomed, and keys announced again before they expire. */
  start(): void
  stop(): void
  /** Announces the key and looks for others that joined it. */
  tend(key: RoutingKey): void
  /** Somebody is there who may not know our keys: tends them all at once where nobody else knows, else bit by bit. */
  welcome(): void
  /** Looks for others that joined the key, where too few are connected. */
  seek(key: RoutingKey): void
  /** Stops announcing it. */
  forget(key: RoutingKey): void
  /** Peers that announced the key, as the DHT yields them. Ends early rather than throw. */
  find(key: RoutingKey, signal: AbortSignal): AsyncGenerator<PeerId, void>
  /**
   * Connects to peers that announced the key, until there are enough or `signal` aborts. Resolves to how many of them
   * are connected. Never rejects.
   */
  meet(key: RoutingKey, signal: AbortSignal): Promise<number>
}

export interface DiscoveryOptions {
  /** Connected peers wanted for each key. */
  peersPerKey: number
  /** A DHT query, or an attempt to connect, that takes longer is given up. */
  queryDeadlineMs: number
  /** A key is announced again after this time, give or take a quarter. */
  announceMs: number
}

/** How often in that time it is looked at which keys are due, so that each goes by itself; those of one round in turn. */
const ROUNDS = 240

/**
 * The first peer in the DHT is told of our keys at once. Of a further one every node hears in the same moment: they take this
 * share of `announceMs` to announce anew, each key at a time of its own, and begin no second time within it.
 */
const SPREAD = 1 / 16

export function createDiscovery(
  components: {
    node: Node
    background: Background
    joined: ReadonlySet<RoutingKey>
    subscribers(key: RoutingKey): PeerId[]
    logger: Logger
    now(): number
  },
  options: DiscoveryOptions,
): Discovery {
  const { node, background, joined, subscribers, logger, now } = components
  const { peersPerKey, queryDeadlineMs, announceMs } = options
  const table = routingTable(node)
  /** When each joined key is to be announced again. */
  const due = new Map<RoutingKey, number>()
  let rounds: NodeJS.Timeout | undefined
  let hastenedAt = Number.NEGATIVE_INFINITY
  const ownAddresses = () => new Set(node.getMultiaddrs().map(String))
  let addresses: ReadonlySet<string> = new Set()
  /** Whether somebody has been told of all keys who may still be there. */
  let isKnown = false
  const lacking = (key: RoutingKey) => peersPerKey - subscribers(key).length

  async function* find(key: RoutingKey, outer: AbortSignal): AsyncGenerator<PeerId, void> {
    const signal = deadline(queryDeadlineMs, outer)
    const providers = node.contentRouting.findProviders(toCid(key), { signal })[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { value, done } = await within(signal, providers.next())
        if (done) return
        if (!value.id.equals(node.peerId)) yield value.id
      }
    } catch (error) {
      logger.debug({ err: error, key }, 'DHT lookup ended early')
    } finally {
      providers.return?.().catch(() => {})
    }
  }

  async function connected(peer: PeerId, outer: AbortSignal): Promise<boolean> {
    try {
      const signal = deadline(queryDeadlineMs, outer)
      await within(signal, node.dial(peer, { signal }))
      return true
    } catch (error) {
      logger.debug({ err: error, peer: peer.toString() }, 'a peer that announced a key cannot be reached')
      return false
    }
  }

  async function meet(key: RoutingKey, signal: AbortSignal): Promise<number> {
    const known = new Set(subscribers(key).map(String))
    const wanted = lacking(key)
    const dials = new Set<Promise<void>>()
    let met = 0
    const dial = async (peer: PeerId) => {
      if (await connected(peer, signal)) met += 1
    }
    for await (const peer of find(key, signal)) {
      if (known.has(peer.toString())) continue
      known.add(peer.toString())
      const dialling = dial(peer).finally(() => dials.delete(dialling))
      dials.add(dialling)
      // one that has gone makes room for the next
      while (dials.size > 0 && met + dials.size >= wanted) await Promise.race(dials)
      if (met >= wanted) break
    }
    await Promise.all(dials)
    return met
  }

  async function look(key: RoutingKey, signal: AbortSignal): Promise<void> {
    if (joined.has(key) && lacking(key) > 0) await meet(key, signal)
  }

  function seek(key: RoutingKey): void {
    background.run(`meet ${key}`, signal => look(key, signal))
  }

  function tend(key: RoutingKey): void {
    // spread out, so that those of one start do not come due together for ever
    due.set(key, now() + announceMs * (0.75 + Math.random() / 2))
    background.run(`announce ${key}`, async signal => {
      if (!joined.has(key)) return
      try {
        await node.contentRouting.provide(toCid(key), { signal })
      } finally {
        // not before: of two that join at once, at least one finds the other
        if (signal.aborted) seek(key)
        else await look(key, signal)
      }
    })
  }

  function tendAll(): void {
    hastenedAt = now()
    for (const key of joined) tend(key)
  }

  function hasten(): void {
    const spreadMs = announceMs * SPREAD
    if (now() - hastenedAt < spreadMs) return
    hastenedAt = now()
    for (const key of joined) {
      due.set(key, Math.min(due.get(key) ?? Number.POSITIVE_INFINITY, now() + spreadMs * Math.random()))
    }
  }

  function tendDue(): void {
    for (const key of joined) if ((due.get(key) ?? 0) <= now()) tend(key)
  }

  /** Others keep the addresses that came with an announcement: of a further one, such as a place at a relay, they are to hear. */
  function noteAddresses(): void {
    const before = addresses
    addresses = ownAddresses()
    if (!addresses.isSubsetOf(before)) tendAll()
  }

  /** Asks for the nearest to itself, of whom the table takes up those it has room for. */
  function lookAround(): void {
    background.run('look around', async signal => {
      await Array.fromAsync(node.peerRouting.getClosestPeers(node.peerId.toMultihash().bytes, { signal }))
    })
  }

  function welcome(): void {
    if (table.size === 0) return
    if (isKnown && table.size > 1) {
      hasten()
      return
    }
    isKnown = true
    lookAround()
    tendAll()
  }

  function noteGone(): void {
    if (table.size === 0) isKnown = false
  }

  return {
    find,
    meet,
    seek,
    tend,
    welcome,
    forget(key) {
      due.delete(key)
      background.run(`forget ${key}`, async signal => {
        if (!joined.has(key)) await node.contentRouting.cancelReprovide(toCid(key), { signal })
      })
    },
    start() {
      addresses = ownAddresses()
      node.addEventListener('self:peer:update', noteAddresses)
      table.addEventListener('peer:add', welcome)
      table.addEventListener('peer:remove', noteGone)
      rounds = setInterval(tendDue, announceMs / ROUNDS).unref()
    },
    stop() {
      clearInterval(rounds)
      table.removeEventListener('peer:add', welcome)
      table.removeEventListener('peer:remove', noteGone)
      node.removeEventListener('self:peer:update', noteAddresses)
    },
  }
}

/** kad-dht has one, but its type does not say so. */
function routingTable(node: Node): EventTarget & { size: number } {
  const { routingTable } = node.services.dht as unknown as { routingTable: EventTarget & { size: number } }
  return routingTable
}
