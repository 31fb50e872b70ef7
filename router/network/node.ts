/** The libp2p node itself: which protocols it speaks, and every limit and age that libp2p lets us set. */
import { createHash } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { type GossipSub, gossipsub, type Message, StrictNoSign } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, PeerInfo, PrivateKey } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import { type Capture, captured } from './capture.ts'
import { packetId } from './checks.ts'
import { BoundedDatastore } from './datastore.ts'
import type { Handshakes } from './handshakes.ts'
import { enduring } from './muxers.ts'
import { DHT_QUERY } from './options.ts'
import { attended, brakeOf } from './secured.ts'
import { createSlices } from './slices.ts'
import type { Throttle } from './throttle.ts'

export type Node = Libp2p<{ identify: Identify; ping: Ping; dht: KadDHT; pubsub: GossipSub }>

/** Ours alone; the public IPFS network speaks another. */
export const DHT_PROTOCOL = '/qis/kad/1.0.0'

export const GOSSIP_PROTOCOL = '/meshsub/1.2.0'
/** Room for the subscriptions of a node that joined hundreds of keys, far below libp2p's 4 MiB. */
const MAX_GOSSIP_RPC_BYTES = 1 << 18
/** libp2p lets a stream hold 4 MiB of what nobody has read, and 16 MiB on their way; none of ours needs so much. */
export const STREAM_LIMITS = {
  maxStreamWindowSize: 1 << 18,
  maxReadBufferLength: 1 << 19,
  maxWriteBufferLength: 1 << 20,
}
/** That a peer may have open at a time, of all protocols. */
const MAX_PEER_STREAMS = 128
/** At the score −80 gossipsub ignores a peer, at −50 it sends it nothing, at −10 it tells it of nothing. */
const GUILTY_SCORE = -80
const RETAIN_SCORE_MS = 300_000
/** libp2p would call five at a time, half a minute each: where peers go for good more often, those that wait become ever more. */
const PARALLEL_RECONNECTS = 32
/**
 * libp2p would ask each peer every ten seconds whether it is there, and end the connection to one that takes five to
 * answer. Where many nodes are busy at once, all would lose each other, and be busier still with finding each other again.
 */
export const MONITOR = { pingInterval: 30_000, pingTimeout: { minTimeout: 20_000 } }
/** How often a node asks for those that are nearest to it. */
const LOOK_AROUND_MS = 300_000
/** Handshakes a second with one host, since sites share an address behind NAT, and how many of all may be under way. */
export const HANDSHAKES = { perHostSecond: 32, pending: 192 }

export interface NodeComponents {
  privateKey: PrivateKey
  gate: ConnectionGater
  throttle: Throttle
  handshakes: Pick<Handshakes, 'checked'>
  /** How much of the way to being shunned a peer has gone, 0..1. */
  guilt(peer: string): number
  /** Called for each peer on the local network that answers; often, and for the same one again. */
  onNeighbour(peer: PeerInfo): void
}

export interface NodeOptions {
  listen: string[]
  announce: string[]
  dhtMode: 'auto' | 'server' | 'client'
  maxConnections: number
  maxRecords: number
  /** A peer that does not answer a dial or a handshake within this time is given up. */
  dialDeadlineMs: number
  /** A peer near to us that was lost is called at once, after this time, and four times more, each after twice as long. */
  reconnectMs: number
  /** How long others keep what this node announces, and it what they do. */
  recordMs: number
  mdns: boolean
  /** Text of a pre-shared key file: who does not have it gets no word in. */
  swarmKey?: string
  capture?: Capture
  /** libp2p's own counters, by protocol and kind of message; none are kept unless given. */
  metrics?: NonNullable<Libp2pOptions['metrics']>
}

/** A node that is not started yet. */
export async function createNode(components: NodeComponents, options: NodeOptions): Promise<Node> {
  const { privateKey, gate, throttle, handshakes, guilt, onNeighbour } = components
  const { capture, dialDeadlineMs, maxConnections, maxRecords, metrics, reconnectMs, recordMs, swarmKey } = options
  const slices = createSlices()
  const encrypter = attended(throttle.metered(noise()), ({ connection }, ciphertext) =>
    slices.follow(connection, brakeOf(ciphertext)),
  )

  return createLibp2p({
    start: false,
    privateKey,
    ...(metrics && { metrics }),
    // libp2p's own names the versions of Node and libp2p to every peer
    nodeInfo: { name: 'qis', version: '1', userAgent: 'qis/1' },
    addresses: { listen: options.listen, announce: options.announce },
    datastore: new BoundedDatastore({ maxRecords }),
    // libp2p dates an address from when it was first seen, however often it is announced again: any finite age hides a
    // peer that stays up for longer. The datastore bounds what is kept.
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: recordMs * (25 / 24) },
    transports: [tcp(), circuitRelayTransport()],
    ...(swarmKey !== undefined && {
      connectionProtector: handshakes.checked(preSharedKey({ psk: Buffer.from(swarmKey) })),
    }),
    connectionEncrypters: [capture === undefined ? encrypter : captured(encrypter, capture)],
    streamMuxers: [
      throttle.counted(enduring(yamux({ maxInboundStreams: MAX_PEER_STREAMS, streamOptions: STREAM_LIMITS }))),
    ],
    peerDiscovery: options.mdns ? [findingNeighbours(mdnsName(swarmKey), onNeighbour)] : [],
    connectionGater: gate,
    connectionManager: {
      maxConnections,
      dialTimeout: dialDeadlineMs,
      addressDialTimeout: dialDeadlineMs,
      inboundUpgradeTimeout: dialDeadlineMs,
      // gossipsub opens its streams one after the other: a peer that does not answer holds up the next
      outboundStreamProtocolNegotiationTimeout: dialDeadlineMs,
      inboundStreamProtocolNegotiationTimeout: dialDeadlineMs,
      inboundConnectionThreshold: HANDSHAKES.perHostSecond,
      reconnectRetryInterval: reconnectMs,
      maxParallelReconnects: PARALLEL_RECONNECTS,
      // libp2p's 10 could be taken for good by one host that connects and says nothing
      maxIncomingPendingConnections: HANDSHAKES.pending,
    },
    connectionMonitor: MONITOR,
    services: {
      identify: identify({ timeout: dialDeadlineMs }),
      ping: ping({ timeout: dialDeadlineMs }),
      dht: kadDHT({
        protocol: DHT_PROTOCOL,
        clientMode: options.dhtMode === 'client',
        ...DHT_QUERY,
        // kad-dht hides private addresses unless told otherwise
        peerInfoMapper: passthroughMapper,
        // a node without peers gets its empty answer at once; it announces again when the first peer comes
        allowQueryWithZeroPeers: true,
        // likewise, it looks around when the first peer comes, which may be later than a second after the start
        initialQuerySelfInterval: LOOK_AROUND_MS,
        querySelfInterval: LOOK_AROUND_MS,
        // announcing again is discovery's business; here, records that nobody renewed are dropped
        reprovide: { validity: recordMs, interval: recordMs / 48, threshold: 0, concurrency: 4, maxQueueSize: 4096 },
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
        maxInboundStreams: 2,
        scoreParams: {
          // the default takes more than ten peers at one address, as behind a hospital's NAT, for an attack
          IPColocationFactorWeight: 0,
          // what a peer did wrong in any protocol, gossip or not
          appSpecificScore: guilt,
          appSpecificWeight: GUILTY_SCORE,
          // what counts of a peer that has gone is remembered by us; gossipsub would keep the rest for an hour
          retainScore: RETAIN_SCORE_MS,
        },
      }),
    },
  })
}

/** Only swarms of the same key call each other by the same name; it says nothing else of the key. */
function mdnsName(swarmKey: string | undefined): string {
  if (swarmKey === undefined) return '_qis._udp.local'
  return `_qis-${createHash('sha256').update(`qis/1/mdns\n${swarmKey}`).digest('hex').slice(0, 12)}._udp.local`
}

function findingNeighbours(serviceTag: string, onNeighbour: (peer: PeerInfo) => void) {
  return (components: MulticastDNSComponents) => {
    const discovery = mdns({ serviceTag })(components)
    discovery.addEventListener('peer', event => onNeighbour(event.detail))
    return discovery
  }
}
