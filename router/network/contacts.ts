/**
 * Keeps the DHT's table of contacts small, alive and cheap. kad-dht asks a contact whether it is still there only when its part of
 * the table is full, so that peers which have gone stay in it, are named to others and are called by every look-up; and
 * what it keeps of each are a few bytes cut from pooled buffers of 64 KiB, which stay in memory as long as the contact does.
 * And each answer names twenty contacts, all of whom it takes up anew: in its table, in the peer store, with timers for each, and
 * calls, to see whether they are there: in a swarm that grows, most handshakes would come of that.
 */
import type { Libp2p, PeerId, PeerInfo } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Logger } from '../telemetry.ts'
import { isInbound, maxInbound } from './gate.ts'

/** What kad-dht has, and its types do not show. */
interface Internals {
  network: {
    sendRequest: Ask
    sendMessage: Ask
    /** Of the type `peer` only: a contact that somebody named. */
    safeDispatchEvent(type: string, event: { detail: PeerInfo }): boolean
  }
  routingTable: EventTarget & {
    kb: {
      add(peer: PeerId, options?: object): Promise<void>
      /** Calls one who is to be taken up. Whether it answers. */
      verify(contact: { peerId: PeerId }, options?: object): Promise<boolean>
    }
    remove(peer: PeerId): Promise<void>
  }
}
type Ask = (to: PeerId, message: object, options: { signal?: AbortSignal }) => AsyncGenerator<{ name: string }>

/** One that is named again in the same words is taken up again after this time. */
const NAMED_AGAIN_MS = 60_000
const MAX_NAMED = 2_048
/** Who has more addresses than that is taken up each time. */
const MAX_NAMED_CHARS = 1_024

export function tendContacts(
  { node, logger }: { node: Libp2p<{ dht: KadDHT }>; logger: Pick<Logger, 'debug'> },
  { maxConnections }: { maxConnections: number },
): void {
  const { network, routingTable } = node.services.dht as unknown as Internals
  const ownPlaces = Math.max(1, maxConnections - maxInbound(maxConnections))

  /** One that cannot be reached, unless it is we who are cut off. */
  function drop(contact: PeerId): void {
    if (node.getConnections(contact).length > 0 || node.getConnections().length === 0) return
    routingTable
      .remove(contact)
      // what it announced is passed over as well, until somebody names it again
      .then(() => {
        if (node.getConnections(contact).length > 0) return
        named.delete(contact.toString())
        return node.peerStore.delete(contact)
      })
      .catch(error => logger.debug({ err: error, peer: contact.toString() }, 'a contact could not be dropped'))
  }

  node.addEventListener('peer:reconnect-failure', ({ detail: contact }) => drop(contact))

  const noticing = (ask: Ask): Ask =>
    async function* (to, message, options) {
      for await (const event of ask(to, message, options)) {
        // who is asked for something that is no longer wanted has not failed
        if (event.name === 'QUERY_ERROR' && !options.signal?.aborted) drop(to)
        yield event
      }
    }
  network.sendRequest = noticing(network.sendRequest.bind(network))
  network.sendMessage = noticing(network.sendMessage.bind(network))

  /** Oldest first. */
  const named = new Map<string, { addresses: string; until: number }>()

  /** Whether this was said of the contact just now. */
  function isOldNews({ id, multiaddrs }: PeerInfo): boolean {
    const contact = id.toString()
    const addresses = multiaddrs.join()
    if (addresses.length > MAX_NAMED_CHARS) return false
    const before = named.get(contact)
    if (before?.addresses === addresses && before.until > performance.now()) return true
    named.delete(contact)
    named.set(contact, { addresses, until: performance.now() + NAMED_AGAIN_MS })
    for (const [oldest, { until }] of named) {
      if (until > performance.now() && named.size <= MAX_NAMED) break
      named.delete(oldest)
    }
    return false
  }
  const dispatch = network.safeDispatchEvent.bind(network)
  network.safeDispatchEvent = (type, event) => !isOldNews(event.detail) && dispatch(type, event)

  const { kb } = routingTable
  const add = kb.add.bind(kb)
  const verify = kb.verify
  kb.add = (peer, options) => add(peerIdFromString(peer.toString()), options)
  // then it is for look-ups to call whom they need, who are taken up when they are there
  const hasCalledEnough = () => node.getConnections().filter(way => !isInbound(way)).length >= ownPlaces
  kb.verify = async (contact, options) => {
    const ways = node.getConnections(contact.peerId).filter(({ status }) => status === 'open')
    if (ways.length === 0) return !hasCalledEnough() && verify(contact, options)
    // no request could be sent through a relay
    return ways.some(({ limits }) => limits === undefined)
  }

  routingTable.addEventListener('peer:remove', event => {
    named.delete((event as CustomEvent<PeerId>).detail.toString())
  })
}
