/** Decides with whom to connect: before the handshake by address, after it by who the peer has shown to be. */
import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { getNetConfig } from '@libp2p/utils'
import type { NetworkEvent } from './events.ts'
import type { RateLimit } from './rate-limit.ts'

export interface GateComponents {
  /** Whether the peer may take part at all. */
  admitted(peer: string): boolean
  shunned(peer: string): boolean
  /** That are open. */
  connections(): Connection[]
  /** Takes a token of an address for each connection that came to nothing. */
  failures: RateLimit
  /** Has no token of a peer that was let go just now to make room. */
  turns: RateLimit
  count(event: NetworkEvent): void
}

/** Who was let go to make room may come back after so long: others have their turn first. */
export const TURNS = { perSecond: 1 / 30, burst: 1 }

/** To one host: connections that came to nothing, before it has to wait for the next. */
export const FAILED_CONNECTIONS = { perSecond: 0.2, burst: 10 }

/** So much of the room is left for peers that we look for ourselves: whoever calls us cannot take all of it. */
const OWN_SHARE = 1 / 4

/** Of the connections, those that others may have opened. */
export const maxInbound = (maxConnections: number) => Math.ceil(maxConnections * (1 - OWN_SHARE))

export const isInbound = ({ direction }: Pick<Connection, 'direction'>) => direction === 'inbound'

export function createGate(components: GateComponents, options: { maxConnections: number }): ConnectionGater {
  const { admitted, shunned, connections, failures, turns, count } = components
  const { maxConnections } = options

  function refused(peer: PeerId): boolean {
    const id = peer.toString()
    if (!admitted(id)) count('connection_stranger')
    else if (shunned(id)) count('connection_shunned')
    else return false
    return true
  }

  return {
    // a swarm on one machine or inside one hospital lives on private addresses
    denyDialMultiaddr: () => false,
    denyDialPeer: peer => !admitted(peer.toString()) || shunned(peer.toString()),
    denyOutboundEncryptedConnection: refused,
    // a handshake costs milliseconds: who has failed often of late does not get one at once
    denyInboundConnection(connection) {
      const host = hostOf(connection)
      if (host === undefined || failures.has(host)) return false
      count('connection_hasty')
      return true
    },
    denyInboundEncryptedConnection(peer, connection) {
      if (!refused(peer)) return false
      const host = hostOf(connection)
      if (host !== undefined) failures.take(host)
      return true
    },
    // libp2p itself counts only those whose handshake is done, and prunes none that is in use
    denyInboundUpgradedConnection(peer) {
      const open = connections()
      const isRoom = open.length < maxConnections && open.filter(isInbound).length < maxInbound(maxConnections)
      if (isRoom && turns.has(peer.toString())) return false
      count('connection_full')
      return true
    },
  }
}

/** Undefined for what comes through a relay: its address is not the peer's. */
export function hostOf(connection: Pick<MultiaddrConnection, 'remoteAddr'>): string | undefined {
  const text = connection.remoteAddr.toString()
  if (text.includes('/p2p-circuit')) return undefined
  try {
    return getNetConfig(connection.remoteAddr).host
  } catch {
    return undefined
  }
}
