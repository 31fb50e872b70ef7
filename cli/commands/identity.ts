/** `qis identity`: who this node is to others. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../../proxy/config.ts'
import { loadIdentity } from '../../router/identity.ts'
import { makePrivateFolder } from '../../router/private-file.ts'
import type { Command } from '../command.ts'

export const identity: Command = {
  name: 'identity',
  summary: 'print the peer id of this node, making its key if there is none',
  usage: `Usage: qis identity

Prints the peer id by which other nodes know this one, and by which a closed swarm admits it. It is made from the key in
QIS_DATA, which is made now if it is not there, and never leaves. The id is no secret.
`,
  async run(args, { out, env }) {
    parseArgs({ args: [...args], options: {} })
    const { dataDir } = readConfig(env)
    await makePrivateFolder(dataDir)
    const { id } = await loadIdentity(join(dataDir, 'identity.key'))
    out.write(`${id}\n`)
    return 0
  },
}
