/** The libp2p network in a thread of its own: the same contract, by messages. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { RoutingKey } from '../keyspace.ts'
import { type Calls, createCalls } from './calls.ts'
import { frame } from './checks.ts'
import type { NetworkEvent } from './events.ts'
import type { Libp2pNetwork } from './libp2p.ts'
import type { ThreadData } from './libp2p-worker.ts'
import { type NetworkHandlers, NetworkStartError, type NetworkStatus, type Verdict } from './network.ts'
import type { Access, Libp2pNetworkComponents, Libp2pNetworkOptions } from './options.ts'

/** A thread that has not stopped by then is ended. */
const STOP_DEADLINE_MS = 5_000

export function createThreadedNetwork(
  components: Libp2pNetworkComponents,
  options: Libp2pNetworkOptions = {},
): Libp2pNetwork {
  const { privateKey, logger, observer } = components
  const { capture, ...given } = options
  const id = peerIdFromPrivateKey(privateKey).toString()
  const joined = new Set<RoutingKey>()
  /** Backfills under way of each key. */
  const filling = new Map<RoutingKey, number>()
  let access: Access | undefined
  let handlers: NetworkHandlers | undefined
  let thread: { worker: Worker; calls: Calls } | undefined
  let status: NetworkStatus | undefined
  let stopping: Promise<void> | undefined

  function unwanted(): Verdict {
    observer?.networkEvent('packet_unwanted')
    return 'ignore'
  }

  function begin(asked: NetworkHandlers): { worker: Worker; calls: Calls } {
    const workerData: ThreadData = {
      privateKey: privateKeyToProtobuf(privateKey),
      options: access === undefined ? given : { ...withoutAccess(given), ...access },
      captures: capture !== undefined,
    }
    const script = new URL(`./libp2p-worker${extname(import.meta.url)}`, import.meta.url)
    const worker = new Worker(script, { workerData, name: 'qis-network' })
    const calls = createCalls(
      worker,
      {
        // the thread hears of `leave` by a message: until then it may hand over what nobody here wants any more
        receive: (_signal, key: RoutingKey, bytes: Uint8Array, from?: string) =>
          joined.has(key) || filling.has(key) ? asked.receive(key, bytes, from) : unwanted(),
        list: (_signal, key: RoutingKey, page: { offset: number; limit: number }) => asked.list(key, page),
        lost: () => asked.lost?.(),
        status: (_signal, seen: NetworkStatus) => {
          if (thread?.worker === worker) status = seen
        },
        event: (_signal, event: NetworkEvent) => observer?.networkEvent(event),
        log: (_signal, level: 'debug' | 'info' | 'warn', details: object | string, message?: string) =>
          logger[level](details, message),
        capture: (_signal, direction: 'in' | 'out', bytes: Uint8Array) => capture?.(direction, bytes),
      },
      failure =>
        failure.code === 'ERR_NETWORK_START'
          ? new NetworkStartError(failure.message)
          : Object.assign(new Error(failure.message), { name: failure.name }),
    )
    worker.on('error', error => logger.warn({ err: error }, 'the thread of the network has failed'))
    worker.on('exit', () => {
      calls.end(new NetworkStartError('the thread of the network has ended'))
      if (thread?.worker !== worker) return
      thread = undefined
      status = undefined
      if (stopping !== undefined) return
      observer?.networkEvent('thread_ended')
      asked.lost?.()
    })
    return { worker, calls }
  }

  async function run(asked: NetworkHandlers): Promise<void> {
    const begun = begin(asked)
    thread = begun
    for (const key of joined) begun.calls.tell('join', [key])
    try {
      status = (await begun.calls.call('start', [])) as NetworkStatus
    } catch (error) {
      if (thread === begun) thread = undefined
      await begun.worker.terminate()
      throw error
    }
  }

  return {
    async start(asked) {
      if (stopping !== undefined) throw new NetworkStartError('the network was stopped')
      handlers = asked
      if (thread === undefined) await run(asked)
      else status = (await thread.calls.call('start', [])) as NetworkStatus
      if (stopping !== undefined) throw new NetworkStartError('the network was stopped while it started')
    },
    async reconfigure(changed) {
      access = changed
      if (thread !== undefined) await thread.calls.call('reconfigure', [changed])
      else if (handlers !== undefined && stopping === undefined) await run(handlers)
    },
    fail(fault) {
      logger.warn({ err: fault }, 'the network has a fault, and its thread is ended')
      if (thread !== undefined) observer?.networkEvent('fault')
      void thread?.worker.terminate()
    },
    join(key) {
      if (joined.has(key) || stopping !== undefined) return
      joined.add(key)
      thread?.calls.tell('join', [key])
    },
    leave(key) {
      if (joined.delete(key)) thread?.calls.tell('leave', [key])
    },
    async publish(key, bytes, { signal } = {}) {
      const copy = frame(bytes)
      if (thread === undefined || stopping !== undefined) return 0
      return (await thread.calls.call('publish', [key, copy], signal)) as number
    },
    async backfill(key, { signal } = {}) {
      if (thread === undefined || stopping !== undefined) return 0
      filling.set(key, (filling.get(key) ?? 0) + 1)
      try {
        return (await thread.calls.call('backfill', [key], signal)) as number
      } finally {
        const left = (filling.get(key) ?? 0) - 1
        if (left > 0) filling.set(key, left)
        else filling.delete(key)
      }
    },
    status: () => ({
      id,
      addresses: status?.addresses ?? [],
      peers: status?.peers ?? [],
      connected: status?.connected ?? [],
      keys: joined.size,
    }),
    async [Symbol.asyncDispose]() {
      stopping ??= (async () => {
        const ending = thread
        joined.clear()
        if (ending === undefined) return
        const late = setTimeout(() => void ending.worker.terminate(), STOP_DEADLINE_MS)
        try {
          await ending.calls.call('stop', [])
        } catch (error) {
          logger.debug({ err: error }, 'the thread of the network ended before it had stopped')
        } finally {
          clearTimeout(late)
          thread = undefined
          status = undefined
          await ending.worker.terminate()
        }
      })()
      await stopping
    },
  }
}

type Plain = Omit<Libp2pNetworkOptions, 'capture'>

function withoutAccess({ swarmKey: _, members: __, bootstrap: ___, ...options }: Plain): Plain {
  return options
}
