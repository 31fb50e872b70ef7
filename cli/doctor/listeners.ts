/** Whether the ports are free, or held by this very sidecar, and what that says of itself. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Address, Config } from '../../proxy/config.ts'
import type { Status } from '../../proxy/status.ts'
import type { Remote } from '../remote.ts'
import { counted } from '../words.ts'
import { about, type Finding } from './finding.ts'

const ports = about('ports')
const swarm = about('swarm')

export async function checkListeners(config: Config, remote: Remote, signal: AbortSignal): Promise<Finding[]> {
  const admin = await listeningFault(config.adminListen)
  const running = admin === 'EADDRINUSE' ? await askRunning(remote, signal) : undefined
  if (running)
    return [
      ports.ok(`a sidecar of this set-up is running at ${written(config.adminListen)}`),
      ...judge(running, config),
    ]
  const data = await listeningFault(config.dataListen)
  return [
    ...faultOf('QIS_DATA_LISTEN', config.dataListen, data),
    ...faultOf('QIS_ADMIN_LISTEN', config.adminListen, admin),
    ...(data === undefined && admin === undefined ? [ports.ok('free; no sidecar of this set-up is running')] : []),
  ]
}

async function listeningFault({ host, port }: Address): Promise<string | undefined> {
  const server = createServer()
  try {
    await once(server.listen(port, host), 'listening')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  } finally {
    server.close()
  }
}

async function askRunning(remote: Remote, signal: AbortSignal): Promise<Status | undefined> {
  return remote.status(signal).catch(() => undefined)
}

function faultOf(setting: string, address: Address, code: string | undefined): Finding[] {
  const remedy = `let ${setting} name another address`
  switch (code) {
    case undefined:
      return []
    case 'EADDRINUSE':
      return [ports.fault(`another program listens on ${written(address)}`, `stop it, or ${remedy}`)]
    case 'EADDRNOTAVAIL':
      return [ports.fault(`this machine has no address ${address.host}`, remedy)]
    case 'EACCES':
      return [ports.fault(`this user may not listen on ${written(address)}`, `${remedy}, with a port from 1024`)]
    default:
      return [ports.fault(`cannot listen on ${written(address)} (${code})`, remedy)]
  }
}

function judge({ networkUp, outage, peers }: Status, { mode, bootstrap }: Config): Finding[] {
  if (mode === 'off') return [swarm.ok('switched off by QIS_MODE')]
  if (!networkUp) {
    const found = outage ? `${outage.problem} (${counted(outage.failures, 'attempt')})` : 'the network is not up'
    return [swarm.fault(found, 'free that address, or name another in QIS_P2P_LISTEN; it is tried again and again')]
  }
  if (peers.length > 0) return [swarm.ok(`${peers.length} ${peers.length === 1 ? 'peer' : 'peers'}`)]
  return [
    swarm.warning(
      'no peer is connected, so nothing is learnt from others',
      bootstrap.length > 0 ? 'see the findings on QIS_BOOTSTRAP' : 'name a peer in QIS_BOOTSTRAP',
    ),
  ]
}

function written({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
