/** What the libp2p network is given, what can be set on it, and what is set unless told otherwise. */
import type { PrivateKey } from '@libp2p/interface'
import type { Logger } from '../telemetry.ts'
import type { Capture } from './capture.ts'
import type { NetworkObserver } from './events.ts'
import type { NodeOptions } from './node.ts'

export interface Libp2pNetworkComponents {
  /** Ed25519; peers know this node by its public half. */
  privateKey: PrivateKey
  logger: Logger
  observer?: NetworkObserver
}

/** Who belongs to the swarm; plain data, so that it may change while the network runs. */
export interface Access {
  /** Text of a pre-shared key file; without it, whoever speaks our protocols can connect. */
  swarmKey?: string
  /** Peer ids of those with whom to connect at all; everybody unless given. */
  members?: readonly string[]
  /** Multiaddrs of peers to stay connected to; `/p2p/<id>` at the end may be left out. */
  bootstrap?: readonly string[]
}

export interface Libp2pNetworkOptions extends Access {
  /** Multiaddrs to listen on. */
  listen?: string[]
  /** Multiaddrs to tell others instead of those listened on, when a router or a container is between. */
  announce?: string[]
  /** Multiaddrs of relays to be reached through, with `/p2p/<id>` at the end, when others cannot dial this node. */
  relays?: string[]
  /** Whether to look for peers on the local network, and to answer those that do. */
  mdns?: boolean
  /**
   * Whether this node keeps records for others; `client` suits one that cannot be dialled, `auto` finds out whether that
   * is so.
   */
  dhtMode?: 'auto' | 'server' | 'client'
  /** File in which addresses of peers are kept, to find the swarm again when nobody of `bootstrap` is there. */
  addressBook?: string
  maxConnections?: number
  /** Peers of whom is remembered what they are and where; those unused for longest are forgotten first. */
  maxRecords?: number
  /** Shown every byte above encryption, for an audit. */
  capture?: Capture
  /** Counts what libp2p does, for a measurement. */
  metrics?: NonNullable<NodeOptions['metrics']>
  /** Peers to be connected to for each joined key. */
  peersPerKey?: number
  /** How long `publish` looks for somebody who wants the packet. */
  meetDeadlineMs?: number
  /** A dial or handshake that takes longer is given up. */
  dialDeadlineMs?: number
  /** A peer near to us that was lost is called at once, after this time, and four times more, each after twice as long. */
  reconnectMs?: number
  /** A DHT query that takes longer is given up. */
  queryDeadlineMs?: number
  /** Peers asked in one backfill. */
  holders?: number
  /** Packets in one page of a backfill. */
  pageSize?: number
  /** Packets taken from one peer in one backfill, and handed out to one. */
  backfillPackets?: number
  /** A peer that takes longer for one page is given up. */
  pageDeadlineMs?: number
  /** A backfill that takes longer ends with what it has. */
  backfillDeadlineMs?: number
  /** A key is refilled from at most `holders` newly seen peers within this time. */
  refillMs?: number
  /** How long a joined key stays announced unless it is announced again. */
  recordMs?: number
  /** A joined key is announced again after this time, give or take a quarter. */
  announceMs?: number
  /** How often peers are looked for where a key has few, and a few keys are refilled from a peer at random. */
  tendMs?: number
  /** Packets a second that one peer may relay to us, after a burst of ten times as many. */
  packetsPerSecond?: number
  /** The same for all peers together, after a burst of four times as many. */
  totalPacketsPerSecond?: number
  /**
   * What a peer may cost a second before it has to wait, in bytes and their like: its bytes, 2 KiB for a packet, a
   * stream or a DHT request, 64 bytes for a smaller matter. It may save up 16 seconds of it.
   */
  peerCostPerSecond?: number
  /** When there is little room, a peer is let go for the next, yet not before it has been here for this time. */
  graceMs?: number
  /** A connection whose peer speaks none of our protocols after this time is ended. */
  silentMs?: number
  /** A node that takes longer to stop is cut off. */
  stopDeadlineMs?: number
}

export const DEFAULTS = {
  listen: ['/ip4/127.0.0.1/tcp/0'],
  announce: [],
  bootstrap: [],
  relays: [],
  mdns: false,
  dhtMode: 'server',
  maxConnections: 128,
  maxRecords: 5_000,
  peersPerKey: 6,
  meetDeadlineMs: 2_000,
  dialDeadlineMs: 5_000,
  reconnectMs: 1_000,
  queryDeadlineMs: 10_000,
  holders: 3,
  pageSize: 64,
  backfillPackets: 1_000,
  pageDeadlineMs: 5_000,
  backfillDeadlineMs: 30_000,
  refillMs: 60_000,
  recordMs: 48 * 3_600_000,
  announceMs: 4 * 3_600_000,
  tendMs: 300_000,
  packetsPerSecond: 50,
  totalPacketsPerSecond: 100,
  peerCostPerSecond: 1 << 18,
  graceMs: 5_000,
  silentMs: 20_000,
  stopDeadlineMs: 2_000,
} satisfies Libp2pNetworkOptions

/**
 * How the DHT is asked (S/Kademlia, Baumgart and Mies, 2007): along disjoint paths, so that nodes which name only each other
 * mislead no more than theirs, with a few requests under way in each. kad-dht's ten by ten ask four times as many at 100,000 nodes.
 */
export const DHT_QUERY = { disjointPaths: 3, alpha: 3 }

type WithoutDefault = 'capture' | 'metrics' | 'swarmKey' | 'members' | 'addressBook'

/** Options with their defaults. */
export type Settings = Required<Omit<Libp2pNetworkOptions, WithoutDefault>> & Pick<Libp2pNetworkOptions, WithoutDefault>
