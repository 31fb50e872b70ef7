/** The table of simulated sizes. */
import { rounded } from '../swarm/fit.ts'
import { table } from '../swarm/print.ts'
import type { Simulated } from './simulation.ts'

const count = (value: number) => rounded(value)?.toLocaleString('en') ?? '-'
const percent = (share: number) => `${rounded(100 * share, 1)} %`

export function simulatedTable(rows: readonly Simulated[]): string {
  return table(
    [
      'nodes',
      'pairs that could share',
      'peers in a table',
      'RPCs a look-up, p50 / p99',
      'hops',
      'ms, p50 / p99',
      'found',
      'messages a node and day',
      'of them upkeep',
      'announcing',
      'backfill',
      'packets',
      'packets received a day',
      'share of all, single / mixed',
      'MB of packets kept',
      'records sent to a node, mean / max',
      'kept, mean / max',
      'largest cell',
    ],
    rows.map(row => {
      const { n, perDay, received, records } = row
      const share = (of: number) => percent((of / received.mean) * received.share)
      return [
        count(n),
        count((n * (n - 1)) / 2),
        count(row.tableSize),
        `${row.rpcs.p50} / ${row.rpcs.p99}`,
        row.hops.p50,
        `${count(row.ms.p50)} / ${count(row.ms.p99)}`,
        percent(row.foundShare),
        count(perDay.total),
        count(perDay.upkeep),
        count(perDay.announcing),
        count(perDay.backfill),
        count(perDay.packets),
        count(received.mean),
        `${share(received.single)} / ${share(received.mixed)}`,
        rounded(row.packetBytes / 1e6, 1),
        `${count(records.mean)} / ${count(records.max)}`,
        `${count(records.keptMean)} / ${count(records.keptMax)}`,
        `${count(row.hottest.subscribers)} nodes, ${percent(row.hottest.packetShare)} of packets`,
      ]
    }),
  )
}
