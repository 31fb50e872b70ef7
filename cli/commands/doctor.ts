/** `qis doctor`: looks at everything a sidecar needs before and while it runs, and says what to do about what is wrong. */
import { parseArgs } from 'node:util'
import { readSettings } from '../../proxy/config.ts'
import type { Command } from '../command.ts'
import type { Finding } from '../doctor/finding.ts'
import { checkSettings } from '../doctor/settings.ts'
import { remoteOf } from '../remote.ts'

const MARK: Record<Finding['state'], string> = { ok: 'ok', warning: 'WARNING', fault: 'FAULT' }

export const doctor: Command = {
  name: 'doctor',
  summary: 'find out what is wrong with a set-up, and what to do',
  usage: `Usage: qis doctor [--json]

Looks, with the settings that qis start would have, at the settings themselves, the folder of data with its keys and
database, the ports, the LLM server, the clock, the embedder and the peers to start from. Changes nothing; a running
sidecar goes on undisturbed. With QIS_EMBEDDER=minilm, the model is fetched if it is not there yet.

Exit code 1 when there is a fault; warnings do not count.

Options:
  --json   one line of JSON for each finding
`,
  async run(args, { out, env, signal }) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } })
    let sound = true
    for await (const finding of examine(env, signal)) {
      sound &&= finding.state !== 'fault'
      out.write(`${values.json ? JSON.stringify(finding) : written(finding)}\n`)
    }
    return sound ? 0 : 1
  },
}

async function* examine(env: NodeJS.ProcessEnv, signal: AbortSignal): AsyncGenerator<Finding> {
  const { config, findings } = checkSettings(env)
  yield* findings
  if (!config) return
  // Each is loaded when its turn comes: they bring most of the program with them.
  yield* await (await import('../doctor/files.ts')).checkFiles(config)
  yield* await (await import('../doctor/listeners.ts')).checkListeners(config, remoteOf(readSettings(env)), signal)
  yield* await (await import('../doctor/upstream.ts')).checkUpstreams(config, signal)
  yield* await (await import('../doctor/embedder.ts')).checkEmbedder(config)
  yield* await (await import('../doctor/peers.ts')).checkPeers(config, signal)
}

function written({ check, state, found, remedy }: Finding): string {
  const line = `${MARK[state].padEnd(8)} ${check.padEnd(10)} ${found}`
  return remedy === undefined ? line : `${line}\n${' '.repeat(20)}→ ${remedy}`
}
