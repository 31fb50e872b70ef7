/**
 * Decides to whom the node stays connected since they are the nearest to it in the DHT: those that are there and have room for
 * it. kad-dht would take the nearest that ever answered; and libp2p calls who is lost at once, also one that ends each connection.
 */
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import type { Logger } from '../telemetry.ts'

/** What kad-dht has, and its types do not show. */
interface Internals {
  routingTable: {
    kb: {
      /** The node itself, once it has started. */
      localPeer?: Contact
      toIterable(): Iterable<Contact>
    }
    /** Marks the nearest in the peer store as those to stay connected to. */
    closestPeerTagger: {
      newPeers?: { peers: { peer: { id: PeerId } }[] }
      /** Those that are marked. */
      closestPeers: Iterable<PeerId> & { has(peer: PeerId): boolean; delete(peer: PeerId): void }
      onPeerPing(): void
      /** Marks `newPeers`, and those no more that it marked before; called every five seconds. */
      updatePeerTags(): Promise<void>
    }
  }
}
interface Contact {
  peerId: PeerId
  kadId: Uint8Array
}

/** Of its connections, the node keeps so many for those, and no more than kad-dht would. */
const SHARE = 1 / 16
const MOST = 20
/** Who ends a connection sooner has no room; for as long the next nearest takes its place. */
const BRIEF_MS = 60_000

/** To be called before the node starts. */
export function stayNear(
  { node, logger }: { node: Libp2p<{ dht: KadDHT }>; logger: Pick<Logger, 'debug'> },
  { maxConnections, briefMs = BRIEF_MS }: { maxConnections: number; briefMs?: number },
): void {
  const { routingTable } = node.services.dht as unknown as Internals
  const { kb, closestPeerTagger } = routingTable
  const wanted = Math.min(MOST, Math.ceil(maxConnections * SHARE))
  /** Until when each has no room. */
  const full = new Map<string, number>()

  const isThere = (peer: PeerId) => node.getConnections(peer).some(({ status }) => status === 'open')

  function nearest(self: Contact): PeerId[] {
    const distance = ({ kadId }: Contact) => Buffer.from(kadId.map((byte, at) => byte ^ (self.kadId[at] ?? 0)))
    return [...kb.toIterable()]
      .filter(({ peerId }) => isThere(peerId) && !full.has(peerId.toString()))
      .map(contact => ({ peer: contact.peerId, distance: distance(contact) }))
      .sort((a, b) => a.distance.compare(b.distance))
      .slice(0, wanted)
      .map(({ peer }) => peer)
  }

  closestPeerTagger.onPeerPing = () => {}
  const mark = closestPeerTagger.updatePeerTags.bind(closestPeerTagger)
  closestPeerTagger.updatePeerTags = async () => {
    if (kb.localPeer === undefined) return
    for (const [peer, until] of full) if (until <= performance.now()) full.delete(peer)
    // to take its mark away would bring back what the peer store knew of one that was forgotten
    for (const peer of closestPeerTagger.closestPeers) {
      if (!(await node.peerStore.has(peer))) closestPeerTagger.closestPeers.delete(peer)
    }
    closestPeerTagger.newPeers = { peers: nearest(kb.localPeer).map(id => ({ peer: { id } })) }
    await mark()
  }

  node.addEventListener('connection:close', ({ detail: { remotePeer, timeline } }) => {
    const lasted = (timeline.close ?? Date.now()) - timeline.open
    // two that call each other at once have two connections, of which one goes
    if (lasted > briefMs || isThere(remotePeer) || !closestPeerTagger.closestPeers.has(remotePeer)) return
    full.set(remotePeer.toString(), performance.now() + briefMs)
    closestPeerTagger.updatePeerTags().catch(error => logger.debug({ err: error }, 'the nearest could not be marked'))
  })
}
