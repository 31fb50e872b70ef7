/** Looks after the connections as such: ends those that are good for nothing, and calls on neighbours. */
import type { Connection, PeerId, PeerInfo } from '@libp2p/interface'
import type { Logger } from '../telemetry.ts'
import { deadline, within } from './deadline.ts'
import type { NetworkEvent } from './events.ts'
import { SYNC_PROTOCOL } from './exchange.ts'
import { DHT_PROTOCOL, GOSSIP_PROTOCOL, type Node } from './node.ts'

export interface Company {
  /** A peer on the local network: connects to it, unless that is done, was tried just now, or there are enough. */
  greet(peer: PeerInfo): void
  stop(): void
}

export interface CompanyOptions {
  /** A connection whose peer speaks none of our protocols after this time is ended. */
  silentMs: number
  dialDeadlineMs: number
  maxConnections: number
}

const OURS: readonly string[] = [DHT_PROTOCOL, GOSSIP_PROTOCOL, SYNC_PROTOCOL]
/** A neighbour that did not answer is tried again after this time. */
const GREET_AGAIN_MS = 60_000
const MAX_GREETED = 1024

export function createCompany(
  components: {
    node: Node
    /** Whether it would be called again at once, so that nothing would be gained. */
    isKept(peer: PeerId): boolean
    count(event: NetworkEvent): void
    logger: Logger
    now(): number
  },
  options: CompanyOptions,
): Company {
  const { node, isKept, count, logger, now } = components
  const { silentMs, dialDeadlineMs, maxConnections } = options
  const stopping = new AbortController()
  const looks = new Map<string, NodeJS.Timeout>()
  const greeted = new Map<string, number>()

  async function look(connection: Connection): Promise<void> {
    if (connection.status !== 'open' || isKept(connection.remotePeer)) return
    const known = await node.peerStore.get(connection.remotePeer).catch(() => undefined)
    if (known?.protocols.some(protocol => OURS.includes(protocol))) return
    count('connection_silent')
    connection.abort(new Error('this peer speaks none of our protocols'))
  }

  const onOpen = ({ detail: connection }: CustomEvent<Connection>) => {
    const timer = setTimeout(() => {
      looks.delete(connection.id)
      look(connection).catch(error => logger.debug({ err: error }, 'a connection could not be looked at'))
    }, silentMs).unref()
    looks.set(connection.id, timer)
  }
  // a timer would keep what is left of it in memory
  const onClose = ({ detail: { id } }: CustomEvent<Connection>) => {
    clearTimeout(looks.get(id))
    looks.delete(id)
  }
  node.addEventListener('connection:open', onOpen)
  node.addEventListener('connection:close', onClose)

  async function dial({ id, multiaddrs }: PeerInfo): Promise<void> {
    const addresses = multiaddrs.map(address => address.encapsulate(`/p2p/${id}`))
    const signal = deadline(dialDeadlineMs, stopping.signal)
    await within(signal, node.dial(addresses, { signal }))
  }

  return {
    greet(peer) {
      const id = peer.id.toString()
      const isRecent = now() - (greeted.get(id) ?? Number.NEGATIVE_INFINITY) < GREET_AGAIN_MS
      if (isRecent || peer.id.equals(node.peerId) || node.getConnections(peer.id).length > 0) return
      if (node.getConnections().length >= maxConnections / 2) return
      if (greeted.size >= MAX_GREETED) greeted.clear()
      greeted.set(id, now())
      dial(peer).catch(error => logger.debug({ err: error, peer: id }, 'cannot reach a neighbour'))
    },
    stop() {
      node.removeEventListener('connection:open', onOpen)
      node.removeEventListener('connection:close', onClose)
      for (const timer of looks.values()) clearTimeout(timer)
      stopping.abort()
    },
  }
}
