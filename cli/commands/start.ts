/** `qis start`: the sidecar itself. */

import { readFlags } from '../../proxy/config/flags.ts'
import { describeVariables, settings } from '../../proxy/config.ts'
import type { Command } from '../command.ts'

export const start: Command = {
  name: 'start',
  summary: 'run the sidecar, as npm start does',
  usage: `Usage: qis start [--SETTING VALUE]…

Runs the sidecar until SIGINT or SIGTERM; running answers may end first. SIGHUP lets it read its settings anew.

Each setting can be an environment variable, as QIS_DATA_LISTEN=127.0.0.1:9000, a line in qis.config.yaml, as
data_listen: 127.0.0.1:9000, or a flag, as --data-listen 127.0.0.1:9000; the later are the stronger. qis config says more.

Settings [default]:
${describeVariables()}
`,
  async run(args, { err, env, signal }) {
    const { flags } = readFlags(settings, args, {})
    const { runSidecar } = await import('../../proxy/main.ts')
    return runSidecar({ environment: env, flags }, err, signal)
  },
}
