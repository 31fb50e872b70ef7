/**
 * A relay: where sites that nobody can connect to are met. It passes on what two others have encrypted for each other,
 * keeps records for the DHT, and sees no packet.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { PeerId } from '@libp2p/interface'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { tendContacts } from './contacts.ts'
import { BoundedDatastore } from './datastore.ts'
import { createGate, FAILED_CONNECTIONS, TURNS } from './gate.ts'
import { enduring } from './muxers.ts'
import { stayNear } from './nearest.ts'
import { NetworkStartError } from './network.ts'
import { DHT_PROTOCOL, HANDSHAKES, MONITOR, STREAM_LIMITS } from './node.ts'
import { type Access, DEFAULTS, type Libp2pNetworkComponents } from './options.ts'
import { createRateLimit } from './rate-limit.ts'
import { keepRoom } from './room.ts'

export interface Relay extends AsyncDisposable {
  /** Where sites can be told to find it. */
  readonly addresses: string[]
  /** How many are connected, and for how many it keeps a place. */
  status(): { peers: number; places: number }
  /** Lets go of those that are no members any more. */
  admitOnly(members: readonly string[] | undefined): void
}

export interface RelayOptions extends Pick<Access, 'swarmKey' | 'members'> {
  /** Multiaddrs. */
  listen: string[]
  /** To tell others instead of those listened on. */
  announce?: string[]
  /** Sites that can be reached through it at a time. @default 128 */
  maxPlaces?: number
  /** @default 512 */
  maxConnections?: number
  /** When there is little room, a site without a place is let go for the next, yet not before this time. @default 5,000 */
  graceMs?: number
}

const DEADLINE_MS = 5_000
const SILENT = { debug() {} }

/** @throws {NetworkStartError} */
export async function startRelay(
  { privateKey }: Pick<Libp2pNetworkComponents, 'privateKey'>,
  options: RelayOptions,
): Promise<Relay> {
  const { listen, announce = [], swarmKey, maxPlaces = 128, maxConnections = 512, graceMs = DEFAULTS.graceMs } = options
  let members = options.members && new Set(options.members)
  const admitted = (peer: string) => members === undefined || members.has(peer)
  const now = () => performance.now()
  const turns = createRateLimit({ now }, TURNS)
  const gate = createGate(
    {
      admitted,
      shunned: () => false,
      connections: () => node.getConnections(),
      failures: createRateLimit({ now }, FAILED_CONNECTIONS),
      turns,
      count() {},
    },
    { maxConnections },
  )
  const node = await create()
  const streamsOf = (peer: PeerId) => node.getConnections(peer).flatMap(({ streams }) => streams)
  const endRoom = keepRoom(
    {
      node,
      isKept: peer => node.services.relay.reservations.has(peer),
      // those whose words it passes on
      isUseful: peer => streamsOf(peer).some(({ protocol }) => protocol === RELAY_V2_HOP_CODEC),
      turns,
      count() {},
      logger: SILENT,
    },
    { maxConnections, graceMs },
  )

  async function create() {
    try {
      const created = await createLibp2p({
        start: false,
        privateKey,
        nodeInfo: { name: 'qis', version: '1', userAgent: 'qis/1' },
        addresses: { listen, announce },
        datastore: new BoundedDatastore(),
        peerStore: { maxAddressAge: Number.POSITIVE_INFINITY },
        transports: [tcp()],
        ...(swarmKey !== undefined && { connectionProtector: preSharedKey({ psk: Buffer.from(swarmKey) }) }),
        connectionEncrypters: [noise()],
        streamMuxers: [enduring(yamux({ streamOptions: STREAM_LIMITS }))],
        connectionGater: gate,
        connectionMonitor: MONITOR,
        connectionManager: {
          maxConnections,
          inboundUpgradeTimeout: DEADLINE_MS,
          inboundConnectionThreshold: HANDSHAKES.perHostSecond,
          maxIncomingPendingConnections: HANDSHAKES.pending,
        },
        services: {
          identify: identify({ timeout: DEADLINE_MS }),
          ping: ping({ timeout: DEADLINE_MS }),
          dht: kadDHT({
            protocol: DHT_PROTOCOL,
            clientMode: false,
            peerInfoMapper: passthroughMapper,
            allowQueryWithZeroPeers: true,
          }),
          // libp2p's limits, two minutes and 128 KiB, are for finding a direct way; gossip stays
          relay: circuitRelayServer({ reservations: { maxReservations: maxPlaces, applyDefaultLimit: false } }),
        },
      })
      tendContacts({ node: created, logger: SILENT }, { maxConnections })
      stayNear({ node: created, logger: SILENT }, { maxConnections })
      await created.start()
      return created
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new NetworkStartError(`cannot listen on ${listen.join(', ')}: ${reason}`, { cause })
    }
  }

  return {
    addresses: node.getMultiaddrs().map(String),
    status: () => ({ peers: node.getPeers().length, places: node.services.relay.reservations.size }),
    admitOnly(given) {
      members = given && new Set(given)
      for (const peer of node.getPeers()) if (!admitted(peer.toString())) node.hangUp(peer).catch(() => {})
    },
    async [Symbol.asyncDispose]() {
      endRoom()
      await node.stop()
    },
  }
}
