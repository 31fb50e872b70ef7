/** `qis backup`: a copy of the database, taken while the sidecar runs. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../../proxy/config.ts'
import { backUp } from '../../router/store/copy.ts'
import { type Command, UsageError } from '../command.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'copy the database into a new file, while the sidecar runs',
  usage: `Usage: qis backup FILE

Copies the database in QIS_DATA as it is at one moment, checks the copy, and puts it into FILE, which must not exist.
The sidecar may run meanwhile, and need not. The copy holds the texts of comments and corrections; only its owner may
read it.

The keys are not in it: keep identity.key and receipt.key of the same folder as well.

To restore, stop the sidecar, put the copy in the place of qis.db, and delete qis.db-wal and qis.db-shm.
`,
  async run(args, { out, env, signal }) {
    const [file, ...more] = parseArgs({ args: [...args], allowPositionals: true }).positionals
    if (file === undefined || more.length > 0) throw new UsageError('backup needs the name of one file')
    const target = resolve(file)
    const bytes = await backUp(join(readConfig(env).dataDir, 'qis.db'), target, signal)
    out.write(`${target}: ${bytes} bytes\n`)
    return 0
  },
}
