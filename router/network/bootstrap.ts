/**
 * Stays connected to the configured peers: it dials them at start and again, at growing intervals, whenever they are
 * gone. Addresses need no peer id, so that a deployment can name a host that has not made its key yet. While nobody at
 * all is connected, peers of earlier days are tried as well.
 */
import type { Connection, PeerId } from '@libp2p/interface'
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry.ts'
import { deadline, within } from './deadline.ts'
import type { Node } from './node.ts'

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** How often a lost connection is noticed. */
const CHECK_MS = 1_000

export interface Bootstrap {
  /** Whether this is one of the configured ones, as far as they were reached. */
  includes(peer: PeerId): boolean
  stop(): void
}

export function startBootstrap(
  components: {
    node: Node
    logger: Logger
    /** Called each time one of them was reached. */
    onReached(connection: Connection, address: Multiaddr): void
  },
  options: { addresses: Multiaddr[]; fallbacks: Multiaddr[]; dialDeadlineMs: number },
): Bootstrap {
  const { node, logger, onReached } = components
  const stopping = new AbortController()
  const contacts = [
    ...options.addresses.map(address => ({ address, isFallback: false })),
    ...options.fallbacks.map(address => ({ address, isFallback: true })),
  ]
    .filter(({ address }) => peerOf(address) !== node.peerId.toString())
    .map(contact => ({
      ...contact,
      peer: undefined as PeerId | undefined,
      dialling: false,
      reachedAt: 0,
      retryMs: FIRST_RETRY_MS,
      nextAt: 0,
    }))

  async function dial(contact: (typeof contacts)[number]): Promise<void> {
    contact.dialling = true
    try {
      const signal = deadline(options.dialDeadlineMs, stopping.signal)
      const connection = await within(signal, node.dial(contact.address, { signal }))
      contact.peer = connection.remotePeer
      contact.reachedAt = performance.now()
      onReached(connection, contact.address)
    } catch (error) {
      logger.debug({ err: error, address: contact.address.toString() }, 'cannot reach a bootstrap peer')
    } finally {
      // half to all of the interval, so that many nodes do not come back in step
      contact.nextAt = performance.now() + contact.retryMs * (0.5 + Math.random() / 2)
      contact.retryMs = Math.min(LAST_RETRY_MS, contact.retryMs * 2)
      contact.dialling = false
    }
  }

  function check(): void {
    const alone = node.getConnections().length === 0
    for (const contact of contacts) {
      if (contact.isFallback && !alone) continue
      const connected = contact.peer !== undefined && node.getConnections(contact.peer).length > 0
      // one that has no room lets go of us soon: only who kept us for a while is called back at once
      if (connected && performance.now() - contact.reachedAt > LAST_RETRY_MS) contact.retryMs = FIRST_RETRY_MS
      if (!connected && !contact.dialling && performance.now() >= contact.nextAt) void dial(contact)
    }
  }

  check()
  const timer = contacts.length > 0 ? setInterval(check, CHECK_MS).unref() : undefined

  return {
    includes: peer => contacts.some(({ isFallback, peer: known }) => !isFallback && known?.equals(peer)),
    stop() {
      clearInterval(timer)
      stopping.abort()
    },
  }
}

function peerOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast(component => component.code === CODE_P2P)?.value
}
