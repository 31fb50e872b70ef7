/** `qis demo`: three deployments on this machine, one of which learns, and another that profits. */
import { parseArgs } from 'node:util'
import { runScript, scriptsOf } from '../checkout.ts'
import type { Command } from '../command.ts'

export const demo: Command = {
  name: 'demo',
  summary: 'show three sidecars learning from each other, on this machine',
  usage: `Usage: qis demo [--json]

Starts three sidecars as three processes with a practice model behind them, joins them over libp2p, and shows the
confidence before and after one of them was told that its answers were wrong, and every packet that left. Takes about a
minute, needs a checkout, leaves nothing behind.

Options:
  --json   the figures alone, as JSON
`,
  async run(args, { signal }) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } })
    const [script] = scriptsOf(/^demo$/)
    return script ? runScript(script, values.json ? ['--json'] : [], signal) : 1
  },
}
