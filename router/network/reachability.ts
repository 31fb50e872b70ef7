/**
 * Keeps records for others only where others can come to read them: a node behind NAT is a client of the DHT. AutoNAT,
 * which has others dial back, leaves private addresses alone, on which whole swarms live.
 */
import { isPrivate } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../telemetry.ts'
import type { Node } from './node.ts'

interface Sight {
  /** Where this node says that it can be dialled. */
  own: readonly Multiaddr[]
  /** Where the peers are that this node has dialled. */
  dialled: readonly Multiaddr[]
  /** Whether anybody has dialled this node. */
  called: boolean
}

const isRelayed = (address: Multiaddr) => address.toString().includes('/p2p-circuit')
const isPublic = (address: Multiaddr) => !isPrivate(address) && !isRelayed(address)

/** A client is who has only private addresses to offer to peers on public ones, until one of them calls all the same. */
export function modeFor({ own, dialled, called }: Sight): 'server' | 'client' {
  if (called || own.some(isPublic)) return 'server'
  return dialled.some(isPublic) || (own.length > 0 && own.every(isRelayed)) ? 'client' : 'server'
}

/** Resolves the mode anew whenever what is seen changes. Returns how to end that. */
export function followReachability({ node, logger }: { node: Node; logger: Logger }): () => void {
  let called = false

  function look(): void {
    const connections = node.getConnections().filter(connection => !isRelayed(connection.remoteAddr))
    called ||= connections.some(connection => connection.direction === 'inbound')
    const dialled = connections
      .filter(connection => connection.direction === 'outbound')
      .map(connection => connection.remoteAddr)
    const mode = modeFor({ own: node.getMultiaddrs(), dialled, called })
    if (mode === node.services.dht.getMode()) return
    logger.info({ mode }, 'this node’s part in the DHT changes')
    node.services.dht.setMode(mode).catch(error => logger.warn({ err: error }, 'the DHT mode could not be changed'))
  }

  const occasions = ['connection:open', 'self:peer:update'] as const
  for (const occasion of occasions) node.addEventListener(occasion, look)
  look()
  return () => {
    for (const occasion of occasions) node.removeEventListener(occasion, look)
  }
}
