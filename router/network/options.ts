/** What the libp2p network is given, what can be set on it, and what is set unless told otherwise. */
import type { PrivateKey } from '@libp2p/interface'
import type { Logger } from '../telemetry.ts'
import type { Capture } from './capture.ts'
import type { NodeOptions } from './node.ts'

export interface Libp2pNetworkComponents {
  /** Ed25519; peers know this node by its public half. */
  privateKey: PrivateKey
  logger: Logger
}

export interface Libp2pNetworkOptions {
  /** Multiaddrs to listen on. */
  listen?: string[]
  /** Multiaddrs to tell others instead of those listened on, when a router or a container is between. */
  announce?: string[]
  /** Multiaddrs of peers to stay connected to; `/p2p/<id>` at the end may be left out. */
  bootstrap?: string[]
  /** Whether this node keeps records for others; `client` suits one that cannot be dialled. */
  dhtMode?: 'server' | 'client'
  maxConnections?: number
  /** With whom to connect at all; everybody unless given. */
  admit?: (peer: string) => boolean
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
  /** How often peers are looked for where a key has few, and a few keys are refilled from a peer at random. */
  tendMs?: number
  /** Packets a second that one peer may relay to us, after a burst of ten times as many. */
  packetsPerSecond?: number
  /** A node that takes longer to stop is cut off. */
  stopDeadlineMs?: number
}

export const DEFAULTS = {
  listen: ['/ip4/127.0.0.1/tcp/0'],
  announce: [],
  bootstrap: [],
  dhtMode: 'server',
  maxConnections: 64,
  admit: () => true,
  peersPerKey: 6,
  meetDeadlineMs: 2_000,
  dialDeadlineMs: 5_000,
  queryDeadlineMs: 10_000,
  holders: 3,
  pageSize: 64,
  backfillPackets: 1_000,
  pageDeadlineMs: 5_000,
  backfillDeadlineMs: 30_000,
  refillMs: 60_000,
  tendMs: 300_000,
  packetsPerSecond: 50,
  stopDeadlineMs: 2_000,
} satisfies Libp2pNetworkOptions

/** Options with their defaults. */
export type Settings = Required<Omit<Libp2pNetworkOptions, 'capture' | 'metrics'>> &
  Pick<Libp2pNetworkOptions, 'capture' | 'metrics'>
