/** Whether the peers named to start from can be reached, and whether they can reach this node. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Config, isLoopback } from '../../proxy/config.ts'
import { about, type Finding } from './finding.ts'

const bootstrap = about('bootstrap')

const DEADLINE_MS = 3_000

export async function checkPeers(config: Config, signal: AbortSignal): Promise<Finding[]> {
  if (config.mode === 'off') return []
  const addresses = await Promise.all(config.bootstrap.map(text => checkAddress(text, signal)))
  return [...addresses, ...checkListening(config)]
}

async function checkAddress(text: string, signal: AbortSignal): Promise<Finding> {
  const target = endpointOf(text)
  if (target === undefined) {
    return bootstrap.fault(
      `QIS_BOOTSTRAP holds ${text}, which is no address of a peer`,
      'write it as /ip4/203.0.113.7/tcp/4001 or /dns4/peer.example/tcp/4001',
    )
  }
  const socket = connect(target)
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]) })
    return bootstrap.ok(`${text} can be reached`)
  } catch (error) {
    signal.throwIfAborted()
    const { code, name } = error as NodeJS.ErrnoException
    return bootstrap.warning(
      `${text} cannot be reached (${code === 'ABORT_ERR' ? 'no answer' : (code ?? name)})`,
      'is it running, and is its port open to this machine? It is tried again and again, and nothing waits for it',
    )
  } finally {
    socket.destroy()
  }
}

/** Of a TCP multiaddr; others are dialled by libp2p alone. */
function endpointOf(text: string): { host: string; port: number } | undefined {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch {
    return undefined
  }
  const components = address.getComponents()
  const host = components.find(({ name }) => /^(ip[46]|dns[46]?)$/.test(name))?.value
  const port = components.find(({ name }) => name === 'tcp')?.value
  return host === undefined || port === undefined ? undefined : { host, port: Number(port) }
}

function checkListening({ bootstrap: peers, p2pListen }: Config): Finding[] {
  const elsewhere = (text: string) => {
    const target = endpointOf(text)
    return target !== undefined && !isLoopback(target)
  }
  if (!peers.some(elsewhere) || p2pListen.some(elsewhere)) return []
  return [
    bootstrap.warning(
      'QIS_P2P_LISTEN is on loopback, so peers elsewhere cannot call this node',
      'let it listen where they can, for example QIS_P2P_LISTEN=/ip4/0.0.0.0/tcp/4001',
    ),
  ]
}
