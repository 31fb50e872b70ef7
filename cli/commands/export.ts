/** `qis export`: everything in the database, a line each, for other programs to read. */
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../../proxy/config.ts'
import { exportRows } from '../../router/store/copy.ts'
import { type Command, UsageError } from '../command.ts'

/** Rows between two looks at the signal. */
const STRIDE = 1_000

export const exporting: Command = {
  name: 'export',
  summary: 'print everything in the database, as JSON lines',
  usage: `Usage: qis export [--format jsonl] [--table NAME]…

Prints every row of the database in QIS_DATA as it is at one moment: one JSON object a line, with the name of its table,
its columns, and for a packet what it says. The sidecar may run meanwhile. This includes the texts of comments and
corrections: a file made by > can be read by others unless umask 077 was said before.

Options:
  --format jsonl   the only one there is
  --table NAME     only this table; may be given several times
`,
  async run(args, { out, env, signal }) {
    const { values } = parseArgs({
      args: [...args],
      options: { format: { type: 'string', default: 'jsonl' }, table: { type: 'string', multiple: true } },
    })
    if (values.format !== 'jsonl') throw new UsageError(`--format must be jsonl, not ${values.format}`)
    let rows = 0
    for (const row of exportRows(join(readConfig(env).dataDir, 'qis.db'), values.table)) {
      if (!out.write(`${JSON.stringify(row)}\n`)) await once(out, 'drain', { signal })
      if (++rows % STRIDE === 0) signal.throwIfAborted()
    }
    return 0
  },
}
