/**
 * Keeps a place at each configured relay, at which others can reach this node. libp2p can look for relays by itself, but
 * where its DHT has no peers yet that search never lets go of the thread.
 */
import type { Connection, PeerId } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry.ts'
import type { Background } from './background.ts'
import type { Node } from './node.ts'

export interface Places {
  /** Takes a place at the relay that this connection leads to. */
  take(relay: Connection): void
  /** Takes again what was lost though the relay is there. */
  tend(): void
}

/** What libp2p has, and its types do not show. */
interface Internals {
  components: { transportManager: TransportManager }
}
interface TransportManager {
  listen(addresses: Multiaddr[]): Promise<void>
  getTransports(): { reservationStore?: ReservationStore }[]
}
interface ReservationStore {
  hasReservation(relay: PeerId): boolean
  addRelay(relay: PeerId, type: 'configured'): Promise<unknown>
}

export function createPlaces(components: { node: Node; background: Background; logger: Logger }): Places {
  const { node, background, logger } = components
  const { transportManager } = (node as unknown as Internals).components
  const store = transportManager
    .getTransports()
    .map(transport => transport.reservationStore)
    .find(found => found !== undefined)
  /** Relays that this node has listened through: libp2p's listener for each stays, and sees it come back. */
  const listening = new Set<string>()

  async function reserve(relay: Connection): Promise<void> {
    const id = relay.remotePeer.toString()
    if (store === undefined || store.hasReservation(relay.remotePeer)) return
    if (listening.has(id)) {
      await store.addRelay(relay.remotePeer, 'configured')
    } else {
      listening.add(id)
      await transportManager.listen([multiaddr(`${relay.remoteAddr}/p2p-circuit`)])
    }
    logger.info({ relay: id }, 'this node can be reached through a relay')
  }

  const take = (relay: Connection) => background.run(`place ${relay.remotePeer}`, () => reserve(relay))

  return {
    take,
    tend() {
      for (const connection of node.getConnections()) {
        if (listening.has(connection.remotePeer.toString())) take(connection)
      }
    },
  }
}
