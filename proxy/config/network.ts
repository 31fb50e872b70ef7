/** Settings of how this node finds others, is found by them, and with whom it has to do at all. */
import { list, oneOf, onOff, path, type Variable } from './variable.ts'

export interface NetworkConfig {
  /** Addresses to tell others instead of those listened on; none for those. */
  p2pAnnounce: string[]
  mdns: boolean
  relays: string[]
  dht: 'auto' | 'server' | 'client'
  /** Whether libp2p runs in a thread of its own. */
  p2pThread: boolean
  /** Folder of a closed swarm's files; undefined for the one in the data folder, if it is there. */
  swarm: string | undefined
}

export const networkVariables = {
  p2pAnnounce: {
    name: 'QIS_P2P_ANNOUNCE',
    default: '',
    help: 'libp2p multiaddrs to tell peers instead of those listened on, by comma; needed behind a port forwarding',
    parse: list,
  },
  mdns: {
    name: 'QIS_MDNS',
    default: 'off',
    help: 'whether to find peers on the local network, and be found there: on or off',
    parse: onOff,
  },
  relays: {
    name: 'QIS_RELAY',
    default: '',
    help: 'libp2p multiaddrs of relays (qis relay), by comma, for a node that peers cannot connect to',
    parse: list,
  },
  dht: {
    name: 'QIS_DHT',
    default: 'auto',
    help: 'whether to keep records for others: server, client, or auto: unless they cannot connect to this node',
    parse: oneOf('auto', 'server', 'client'),
  },
  p2pThread: {
    name: 'QIS_P2P_THREAD',
    default: 'off',
    help: 'whether the network has a thread of its own, for some 70 MB of memory: on or off',
    parse: onOff,
  },
  swarm: {
    name: 'QIS_SWARM',
    help: 'folder of a closed swarm (qis swarm); without its key the sidecar does not start. By default swarm in QIS_DATA, if it is there',
    parse: path,
  },
} satisfies { [K in keyof NetworkConfig]: Variable<NonNullable<NetworkConfig[K]>> }
