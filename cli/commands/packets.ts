/** `qis packets`: what peers have said and a running sidecar goes by. */
import type { HeldPacket } from '../../router/held-packet.ts'
import type { Command } from '../command.ts'
import { UsageError } from '../command.ts'
import { allPages, JSON_AND_LIMIT, limitOf } from '../pages.ts'
import { openRemote } from '../remote.ts'
import { columns, duration } from '../words.ts'

const OBSERVERS: Record<HeldPacket['observer'], string> = { h: 'person', e: 'evaluator', i: 'rule' }
const ID_CHARS = 12

export const packets: Command = {
  name: 'packets',
  summary: 'list what came from peers and still counts',
  usage: `Usage: qis packets [--cell XX] [--limit N] [--json] [FLAGS]

Lists the live packets that the running sidecar holds of peers, the last to arrive first: for which model, domain and
kind of question, what was said of the answer (1 good, 0 bad; ~ with noise on it), by whom, and how old it is. What left
this node is in qis ledger. Settings can be given as flags, as --admin-listen.

Options:
  --cell XX   only those of one cell, the first two digits of the fingerprint that qis space explain tells
  --limit N   so many at most (100); with --json all, unless it is given
  --json      one JSON object a line
`,
  async run(args, { out, env, signal }) {
    const { remote, values } = openRemote(args, env, { ...JSON_AND_LIMIT, cell: { type: 'string' } })
    const { cell } = values
    if (cell !== undefined && !/^[0-9a-f]{2}$/i.test(cell)) throw new UsageError('--cell must be two hex digits')
    const only = cell === undefined ? '' : `&cell=${cell}`
    const page = (offset: number) => remote.ask('admin', `/qis/packets?offset=${offset}${only}`, signal)
    const { total, items } = await allPages<HeldPacket>(page, 'packets', limitOf(values))
    if (values.json) {
      for (const packet of items) out.write(`${JSON.stringify(packet)}\n`)
      return 0
    }
    out.write(columns(['MODEL', 'DOMAIN', 'CODE', 'SAYS', 'SEEN BY', 'AGE', 'AUTHOR', 'BELIEVED'], items.map(row)))
    if (total > items.length) out.write(`and ${total - items.length} more; --limit shows them\n`)
    if (total === 0) out.write('no packet of a peer is here\n')
    return 0
  },
}

function row(packet: HeldPacket): string[] {
  const { model, domain, code, signal, noisy, withdrawn, correction, observer, time, author, standing } = packet
  const said = `${noisy ? '~' : ''}${signal}${correction ? ` ${correction}` : ''}`
  return [
    model,
    domain,
    code,
    withdrawn ? 'taken back' : said,
    OBSERVERS[observer],
    duration(Date.now() / 1000 - time),
    // Their beginnings are the same.
    `…${author.slice(-ID_CHARS)}`,
    standing,
  ]
}
