/** The network for real: libp2p over TCP, a DHT to find who shares a kind of question, gossip, and backfill. */
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { RoutingKey } from '../keyspace.ts'
import { frame } from './checks.ts'
import { type Network, NetworkStartError } from './network.ts'
import { DEFAULTS, type Libp2pNetworkComponents, type Libp2pNetworkOptions, type Settings } from './options.ts'
import { type Running, startNetwork } from './running.ts'

export type { Libp2pNetworkComponents, Libp2pNetworkOptions } from './options.ts'

export function createLibp2pNetwork(components: Libp2pNetworkComponents, options: Libp2pNetworkOptions = {}): Network {
  const { privateKey, logger } = components
  const settings: Settings = { ...DEFAULTS, ...options }
  const id = peerIdFromPrivateKey(privateKey).toString()
  const joined = new Set<RoutingKey>()
  let starting: Promise<Running> | undefined
  let running: Running | undefined
  let stopping: Promise<void> | undefined

  return {
    async start(handlers) {
      if (stopping !== undefined) throw new NetworkStartError('the network was stopped')
      starting ??= startNetwork({ privateKey, logger, handlers, joined }, settings)
      try {
        running = await starting
      } catch (error) {
        starting = undefined
        throw error
      }
      if (stopping !== undefined) throw new NetworkStartError('the network was stopped while it started')
    },
    join(key) {
      if (joined.has(key) || stopping !== undefined) return
      joined.add(key)
      running?.join(key)
    },
    leave(key) {
      if (joined.delete(key)) running?.leave(key)
    },
    async publish(key, bytes, { signal } = {}) {
      const copy = frame(bytes)
      if (running === undefined || stopping !== undefined) return 0
      return running.publish(key, copy, signal)
    },
    async backfill(key, { signal } = {}) {
      if (running === undefined || stopping !== undefined) return 0
      return running.backfill(key, signal)
    },
    status() {
      return {
        id,
        addresses: running?.addresses() ?? [],
        peers: running?.peers() ?? [],
        keys: joined.size,
      }
    },
    async [Symbol.asyncDispose]() {
      stopping ??= (async () => {
        const network = await starting?.catch(() => undefined)
        await network?.stop()
        joined.clear()
      })()
      await stopping
    },
  }
}
