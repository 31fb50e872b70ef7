/** The libp2p node itself: which protocols it speaks, and every limit and age that libp2p lets us set. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { type GossipSub, gossipsub, type Message, StrictNoSign } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { Libp2p, PeerId, PrivateKey } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import { type Capture, captured } from './capture.ts'
import { packetId } from './checks.ts'
import { BoundedDatastore } from './datastore.ts'

export type Node = Libp2p<{ identify: Identify; ping: Ping; dht: KadDHT; pubsub: GossipSub }>

/** Ours alone; the public IPFS network speaks another. */
export const DHT_PROTOCOL = '/qis/kad/1.0.0'

const GOSSIP_PROTOCOL = '/meshsub/1.2.0'
/** Room for the subscriptions of a node that joined hundreds of keys, far below libp2p's 4 MiB. */
const MAX_GOSSIP_RPC_BYTES = 1 << 18
const HOUR_MS = 3_600_000

export interface NodeOptions {
  listen: string[]
  announce: string[]
  dhtMode: 'server' | 'client'
  maxConnections: number
  /** A peer that does not answer a dial or a handshake within this time is given up. */
  dialDeadlineMs: number
  capture?: Capture
  /** libp2p's own counters, by protocol and kind of message; none are kept unless given. */
  metrics?: NonNullable<Libp2pOptions['metrics']>
}

/** A node that is not started yet. `deny` says with whom not to connect, whoever dials. */
export async function createNode(
  components: { privateKey: PrivateKey; deny(peer: PeerId): boolean },
  options: NodeOptions,
): Promise<Node> {
  const { privateKey, deny } = components
  const { capture, dialDeadlineMs, maxConnections, metrics } = options

  const node: Node = await createLibp2p({
    start: false,
    privateKey,
    ...(metrics && { metrics }),
    // libp2p's own names the versions of Node and libp2p to every peer
    nodeInfo: { name: 'qis', version: '1', userAgent: 'qis/1' },
    addresses: { listen: options.listen, announce: options.announce },
    datastore: new BoundedDatastore(),
    // libp2p dates an address from when it was first seen, however often it is announced again: any finite age hides a
    // peer that stays up for longer. The datastore bounds what is kept.
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: 50 * HOUR_MS },
    transports: [tcp()],
    connectionEncrypters: [capture === undefined ? noise() : captured(noise(), capture)],
    streamMuxers: [yamux()],
    connectionGater: {
      // a swarm on one machine or inside one hospital lives on private addresses
      denyDialMultiaddr: () => false,
      denyDialPeer: deny,
      denyInboundEncryptedConnection: deny,
      denyOutboundEncryptedConnection: deny,
      // libp2p itself counts only those whose handshake is done, and prunes none that is in use
      denyInboundUpgradedConnection: () => node.getConnections().length >= maxConnections,
    },
    connectionManager: {
      maxConnections,
      dialTimeout: dialDeadlineMs,
      addressDialTimeout: dialDeadlineMs,
      inboundUpgradeTimeout: dialDeadlineMs,
      // gossipsub opens its streams one after the other: a peer that does not answer holds up the next
      outboundStreamProtocolNegotiationTimeout: dialDeadlineMs,
      inboundStreamProtocolNegotiationTimeout: dialDeadlineMs,
      // by host and second: sites share an address behind NAT
      inboundConnectionThreshold: 32,
    },
    services: {
      identify: identify({ timeout: dialDeadlineMs }),
      ping: ping({ timeout: dialDeadlineMs }),
      dht: kadDHT({
        protocol: DHT_PROTOCOL,
        clientMode: options.dhtMode === 'client',
        // kad-dht hides private addresses unless told otherwise
        peerInfoMapper: passthroughMapper,
        // a node without peers gets its empty answer at once; it announces again when the first peer comes
        allowQueryWithZeroPeers: true,
        // records are good for 48 hours; renewed after four, so that one whose keepers all restarted is soon back
        reprovide: { threshold: 44 * HOUR_MS, concurrency: 4, maxQueueSize: 4096 },
      }),
      pubsub: gossipsub({
        protocols: [GOSSIP_PROTOCOL],
        // packets carry their own signature; who relayed one is nobody's business
        globalSignaturePolicy: StrictNoSign,
        msgIdFn: (message: Message) => packetId(message.data),
        // a small swarm gets a packet at once, without waiting for meshes to form
        floodPublish: true,
        fallbackToFloodsub: false,
        ignoreDuplicatePublishError: true,
        // alone, a packet is not taken as sent, so that it can be published again
        allowPublishToZeroTopicPeers: false,
        maxInboundDataLength: MAX_GOSSIP_RPC_BYTES,
        // the default takes more than ten peers at one address, as behind a hospital's NAT, for an attack
        scoreParams: { IPColocationFactorWeight: 0 },
      }),
    },
  })
  return node
}
