/** `qis start`: the sidecar itself. */
import { parseArgs } from 'node:util'
import { describeVariables } from '../../proxy/config.ts'
import type { Command } from '../command.ts'

export const start: Command = {
  name: 'start',
  summary: 'run the sidecar, as npm start does',
  usage: `Usage: qis start

Runs the sidecar until SIGINT or SIGTERM; running answers may end first.

Settings, from the environment [default]:
${describeVariables()}
`,
  async run(args, { err, env, signal }) {
    parseArgs({ args: [...args], options: {} })
    const { runSidecar } = await import('../../proxy/main.ts')
    return runSidecar(env, err, signal)
  },
}
