/** The network for real: libp2p over TCP, a DHT to find who shares a kind of question, gossip, and backfill. */
import { isDeepStrictEqual } from 'node:util'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { RoutingKey } from '../keyspace.ts'
import { frame } from './checks.ts'
import { type Network, type NetworkHandlers, NetworkStartError } from './network.ts'
import {
  type Access,
  DEFAULTS,
  type Libp2pNetworkComponents,
  type Libp2pNetworkOptions,
  type Settings,
} from './options.ts'
import { type Running, startNetwork } from './running.ts'

export type { Access, Libp2pNetworkComponents, Libp2pNetworkOptions } from './options.ts'

export interface Libp2pNetwork extends Network {
  /**
   * From now on this is who belongs to the swarm. Another key or other bootstrap peers mean that the node starts anew;
   * joined keys stay joined. Rejects with `ERR_NETWORK_START` when it cannot; a later call may succeed.
   */
  reconfigure(access: Access): Promise<void>
  /** It is known to be broken, by an exception that nobody caught: takes down what runs, and tells `lost`. */
  fail(fault: unknown): void
}

export function createLibp2pNetwork(
  components: Libp2pNetworkComponents,
  options: Libp2pNetworkOptions = {},
): Libp2pNetwork {
  const id = peerIdFromPrivateKey(components.privateKey).toString()
  const joined = new Set<RoutingKey>()
  let settings: Settings = { ...DEFAULTS, ...options }
  let handlers: NetworkHandlers | undefined
  let running: Running | undefined
  let stopping: Promise<void> | undefined
  /** How often the node was told that it is broken. */
  let faults = 0
  /** One change after the other. */
  let changing: Promise<void> = Promise.resolve()

  async function run(given: NetworkHandlers): Promise<void> {
    const before = faults
    try {
      running ??= await startNetwork({ ...components, handlers: given, joined }, settings)
      if (faults !== before) {
        await halt()
        throw new NetworkStartError('the network had a fault while it started')
      }
    } catch (error) {
      components.observer?.networkEvent('start_failed')
      throw error
    }
    if (stopping !== undefined) throw new NetworkStartError('the network was stopped while it started')
  }

  async function halt(): Promise<void> {
    const network = running
    running = undefined
    await network?.stop()
  }

  async function change(access: Access): Promise<void> {
    if (stopping !== undefined) return
    const before = settings
    settings = { ...withoutAccess(settings), bootstrap: [], ...access }
    if (handlers === undefined) return
    const isSameSwarm =
      before.swarmKey === settings.swarmKey && isDeepStrictEqual([...before.bootstrap], [...settings.bootstrap])
    if (isSameSwarm && running !== undefined) {
      running.admitOnly(settings.members)
    } else {
      const wasUp = running !== undefined
      await halt()
      try {
        await run(handlers)
      } catch (error) {
        if (wasUp) handlers.lost?.()
        throw error
      }
    }
  }

  /** After whatever else is under way. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = changing.then(work)
    changing = done.catch(() => {})
    return done
  }

  return {
    async start(given) {
      if (stopping !== undefined) throw new NetworkStartError('the network was stopped')
      handlers = given
      await inTurn(() => run(given))
    },
    reconfigure: access => inTurn(() => change(access)),
    fail(fault) {
      components.logger.warn({ err: fault }, 'the network has a fault and is taken down')
      faults += 1
      if (running === undefined || stopping !== undefined) return
      components.observer?.networkEvent('fault')
      void inTurn(halt)
        .catch(error => components.logger.debug({ err: error }, 'what was left of the network could not be taken down'))
        .then(() => handlers?.lost?.())
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
        connected: running?.connected() ?? [],
        keys: joined.size,
      }
    },
    async [Symbol.asyncDispose]() {
      stopping ??= (async () => {
        await changing
        await halt()
        joined.clear()
      })()
      await stopping
    },
  }
}

function withoutAccess({ swarmKey: _, members: __, ...settings }: Settings): Omit<Settings, 'swarmKey' | 'members'> {
  return settings
}
