/** The thread in which libp2p runs, so that its decoding and its cryptography hold up no request. */
import { parentPort, workerData } from 'node:worker_threads'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { RoutingKey } from '../keyspace.ts'
import { createCalls } from './calls.ts'
import { createLibp2pNetwork } from './libp2p.ts'
import type { NetworkStatus, Verdict } from './network.ts'
import type { Access, Libp2pNetworkOptions } from './options.ts'

export interface ThreadData {
  /** As a protobuf. */
  privateKey: Uint8Array
  options: Omit<Libp2pNetworkOptions, 'capture'>
  captures: boolean
}

/** How often it is looked whether the other side's picture of the network is still true. */
const LOOK_MS = 100

const port = parentPort
if (!port) throw new Error('libp2p-worker.ts runs as a worker only')
const { privateKey, options, captures } = workerData as ThreadData

const calls = createCalls(port, {
  start: async () => {
    await network.start({
      receive: async (key, bytes, from) => (await calls.call('receive', [key, bytes, from])) as Verdict,
      list: async (key, page) => (await calls.call('list', [key, page])) as Uint8Array[],
      lost: () => calls.tell('lost', []),
    })
    return look()
  },
  reconfigure: (_signal, access: Access) => network.reconfigure(access),
  join: (_signal, key: RoutingKey) => network.join(key),
  leave: (_signal, key: RoutingKey) => network.leave(key),
  publish: (signal, key: RoutingKey, bytes: Uint8Array) => network.publish(key, bytes, { signal }),
  backfill: (signal, key: RoutingKey) => network.backfill(key, { signal }),
  async stop() {
    clearInterval(looking)
    await network[Symbol.asyncDispose]()
    setImmediate(() => port.close())
  },
})

const log = (level: 'debug' | 'info' | 'warn') => (details: object | string, message?: string) =>
  calls.tell('log', [level, typeof details === 'string' ? details : cloneable(details), message])

const network = createLibp2pNetwork(
  {
    privateKey: privateKeyFromProtobuf(privateKey) as never,
    logger: { debug: log('debug'), info: log('info'), warn: log('warn') },
    observer: { networkEvent: event => calls.tell('event', [event]) },
  },
  {
    ...options,
    ...(captures && { capture: (direction, bytes) => calls.tell('capture', [direction, bytes]) }),
  },
)

let told: NetworkStatus | undefined

function look(): NetworkStatus {
  const status = network.status()
  if (JSON.stringify(status) !== JSON.stringify(told)) calls.tell('status', [status])
  told = status
  return status
}
const looking = setInterval(look, LOOK_MS)

/** Errors cross as errors; libp2p's objects do not cross at all. */
function cloneable(details: object): object {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      value instanceof Error ? { type: value.name, message: value.message, stack: value.stack } : String(value),
    ]),
  )
}
