/** `qis peers`: with whom a running sidecar is connected, and whose packets it holds. */
import type { Peer } from '../../router/peers.ts'
import type { Command } from '../command.ts'
import { allPages, JSON_AND_LIMIT, limitOf } from '../pages.ts'
import { openRemote } from '../remote.ts'
import { columns, duration } from '../words.ts'

export const peers: Command = {
  name: 'peers',
  summary: "list the running sidecar's peers, what they sent, and how far they are believed",
  usage: `Usage: qis peers [--limit N] [--json] [FLAGS]

Lists the peers that the running sidecar is connected to, and those whose packets it holds. "packets" are those that a
peer has signed and that live here now; "brought" are those that came by way of it, its own or others', and "refused"
says why others were not taken (known: it had come before). Settings can be given as flags, as --admin-listen.

How far a peer is believed: proven, when enough of what it said agrees with what was seen here; unproven; distrusted,
when it does not agree.

Options:
  --limit N   so many at most (100); with --json all, unless it is given
  --json      one JSON object a line
`,
  async run(args, { out, env, signal }) {
    const { remote, values } = openRemote(args, env, JSON_AND_LIMIT)
    const page = (offset: number) => remote.ask('admin', `/qis/peers?offset=${offset}`, signal)
    const { total, items } = await allPages<Peer>(page, 'peers', limitOf(values))
    if (values.json) {
      for (const peer of items) out.write(`${JSON.stringify(peer)}\n`)
      return 0
    }
    out.write(columns(['PEER', 'CONNECTED', 'BELIEVED', 'PACKETS', 'BROUGHT', 'REFUSED'], items.map(row)))
    if (total > items.length) out.write(`and ${total - items.length} more; --limit shows them\n`)
    if (total === 0) out.write('no peer is known\n')
    return 0
  },
}

function row({ id, since, standing, packets, handed }: Peer): string[] {
  const refused = Object.entries(handed.refused).map(([reason, count]) => `${reason} ${count}`)
  const connected = since === undefined ? '-' : duration(Date.now() / 1000 - since)
  return [id, connected, standing, String(packets), String(handed.accepted), refused.join(', ')]
}
