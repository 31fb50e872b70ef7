/** Real libp2p nodes on loopback, arranged as a star around the first one. */
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { NetworkObserver } from '../../../router/network/events.ts'
import { createHandshakes } from '../../../router/network/handshakes.ts'
import type { Libp2pNetwork } from '../../../router/network/libp2p.ts'
import { createLibp2pNetwork, type Libp2pNetworkOptions } from '../../../router/network/libp2p.ts'
import type { Network, NetworkHandlers } from '../../../router/network/network.ts'
import { createNode, type Node, type NodeOptions } from '../../../router/network/node.ts'
import { DEFAULTS } from '../../../router/network/options.ts'
import { createThrottle } from '../../../router/network/throttle.ts'

/** Of a throttle that lets everything pass. */
const UNBOUNDED = {
  perSecond: 0,
  burst: Number.MAX_VALUE,
  credit: Number.MAX_VALUE,
  streamCost: 0,
}

export const quiet = { debug() {}, info() {}, warn() {} }

export interface Libp2pSwarm extends AsyncDisposable {
  add(
    handlers: NetworkHandlers,
    options?: Libp2pNetworkOptions & { observer?: NetworkObserver },
  ): Promise<Libp2pNetwork>
}

export function createLibp2pSwarm(): Libp2pSwarm {
  const stack = new AsyncDisposableStack()
  let bootstrap: string[] | undefined
  return {
    async add(handlers, { observer, ...options } = {}) {
      const privateKey = await generateKeyPair('Ed25519')
      const network = stack.use(
        createLibp2pNetwork(
          { privateKey, logger: quiet, ...(observer && { observer }) },
          { bootstrap: bootstrap ?? [], ...options },
        ),
      )
      await network.start(handlers)
      bootstrap ??= network.status().addresses
      return network
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** A libp2p node without a network around it, save what `prepare` puts there: to look at a node from outside, or to misbehave. */
export async function startBareNode(
  options: Partial<NodeOptions> = {},
  prepare: (node: Node) => void = () => {},
): Promise<Node & AsyncDisposable> {
  const privateKey = await generateKeyPair('Ed25519')
  const throttle = createThrottle({ now: () => 0, onSlowed() {} }, UNBOUNDED)
  const node = await createNode(
    {
      privateKey,
      gate: { denyDialMultiaddr: () => false },
      throttle,
      handshakes: createHandshakes({ count() {}, onStranger() {} }),
      guilt: () => 0,
      onNeighbour() {},
    },
    { ...DEFAULTS, ...options },
  )
  prepare(node)
  await node.start()
  return Object.assign(node, { [Symbol.asyncDispose]: async () => node.stop() })
}

export function addressOf(network: Network): Multiaddr {
  const [address] = network.status().addresses
  assert.ok(address !== undefined, 'the network listens')
  return multiaddr(address)
}
