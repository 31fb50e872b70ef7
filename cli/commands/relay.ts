/** `qis relay`: a meeting place for sites that nobody can connect to. */
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { readConfig } from '../../proxy/config.ts'
import { openSwarmAccess } from '../../proxy/swarm-access.ts'
import { loadIdentity } from '../../router/identity.ts'
import { startRelay } from '../../router/network/relay.ts'
import { makePrivateFolder } from '../../router/private-file.ts'
import type { Command } from '../command.ts'

export const relay: Command = {
  name: 'relay',
  summary: 'run a relay for sites that peers cannot connect to',
  usage: `Usage: qis relay

Runs until SIGINT or SIGTERM. Sites behind NAT or a firewall that set QIS_RELAY to one of the addresses it prints can be
reached through it. It passes on what two of them have encrypted for each other and keeps records for the DHT, so that it
also serves as an address to start from (QIS_BOOTSTRAP); it handles no packet and needs no LLM server.

It listens on QIS_P2P_LISTEN, tells others QIS_P2P_ANNOUNCE, and belongs to the closed swarm in QIS_SWARM or in QIS_DATA,
if there is one; only its members can use it then.
`,
  async run(args, { out, err, env, signal }) {
    parseArgs({ args: [...args], options: {} })
    const config = readConfig(env)
    const logger = pino({ name: 'qis-relay', level: config.logLevel }, err)
    await makePrivateFolder(config.dataDir)
    const { privateKey } = await loadIdentity(join(config.dataDir, 'identity.key'))
    await using parts = new AsyncDisposableStack()
    const folder = config.swarm ?? join(config.dataDir, 'swarm')
    const access = parts.use(
      await openSwarmAccess({ logger }, { folder, mustBeClosed: config.swarm !== undefined, bootstrap: [] }),
    )
    const { swarmKey, members } = access.current()
    const started = parts.use(
      await startRelay(
        { privateKey },
        {
          listen: config.p2pListen,
          announce: config.p2pAnnounce,
          ...(swarmKey !== undefined && { swarmKey }),
          ...(members && { members }),
        },
      ),
    )
    access.watch(async changed => {
      started.admitOnly(changed.members)
      if (changed.swarmKey !== swarmKey) logger.warn('another swarm key takes effect when the relay is started anew')
    })
    for (const address of started.addresses) out.write(`${address}\n`)
    if (!signal.aborted) await once(signal, 'abort')
    return 0
  },
}
