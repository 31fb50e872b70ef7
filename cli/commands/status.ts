/** `qis status`: what a running sidecar is doing now. */
import type { Status } from '../../proxy/status.ts'
import type { Command } from '../command.ts'
import { openRemote } from '../remote.ts'
import { counted, duration } from '../words.ts'

export const status: Command = {
  name: 'status',
  summary: 'say what the running sidecar is doing',
  usage: `Usage: qis status [--json] [FLAGS]

Asks the sidecar that runs with these settings: its version and set-up, its LLM servers, what it has done since it was
started, and how it stands in the swarm. Exit code 1 when none answers.

Settings can be given as flags, as --admin-listen HOST:PORT and --admin-token TOKEN.

Options:
  --json   all of it as JSON, as GET /qis/status answers
`,
  async run(args, { out, env, signal }) {
    const { remote, values } = openRemote(args, env, { json: { type: 'boolean', default: false } })
    const told = await remote.status(signal)
    out.write(values.json ? `${JSON.stringify(told)}\n` : describe(told))
    return 0
  },
}

function describe(told: Status): string {
  const { upstreams, unlisted, requests, feedback, swarm, peers, keys, evidence } = told
  const given = Object.entries(feedback).map(([rating, count]) => `${count} ${rating}`)
  const network = told.networkUp
    ? `${swarm.closed ? 'closed swarm' : 'open swarm'}, ${counted(peers.length, 'peer')}, ${counted(keys, 'kind')} of question joined`
    : told.outage
      ? `DOWN: ${told.outage.problem}; tried ${counted(told.outage.failures, 'time')}, and again`
      : 'not running'
  const rows: [string, string][] = [
    ['version', `${told.version}, up for ${duration(told.uptimeS)}`],
    ['set-up', `mode ${told.mode}, profile ${told.profile}, embedder ${told.embedder}, space ${told.space.name}`],
    ...upstreams.map(({ origin, up, models }): [string, string] => [
      'upstream',
      `${origin} ${up ? 'answers' : 'DOES NOT ANSWER'}${models.length > 0 ? `: ${models.join(', ')}` : ''}`,
    ]),
    ...unlisted.map((origin): [string, string] => [
      'upstream',
      `${origin} lists no models: outcomes of theirs stay here; name them in QIS_UPSTREAM, behind its address`,
    ]),
    ['requests', `${counted(requests.query, 'question')}, ${counted(requests.other, 'other')}`],
    ['feedback', given.length > 0 ? given.join(', ') : 'none yet'],
    ['network', network],
    ['knows', `${counted(evidence, 'live outcome')}, own and of peers`],
    ['peer id', told.id],
    ...told.addresses.map((address): [string, string] => ['address', address]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(10)}${value}\n`).join('')
}
