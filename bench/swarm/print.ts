/** The tables that people read while the swarm is measured. */
import type { ChurnFigures, SilentFigures } from './churn.ts'
import { quantile, rounded } from './fit.ts'
import type { IdleRow, ReceivedRow, SizeRow } from './measure.ts'

type Cell = string | number | null

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows.map(row => row.map(cell => cell ?? '-'))]
  return lines.map(line => `| ${line.join(' | ')} |`).join('\n')
}

const ms = (value: number) => rounded(value, value < 10 ? 1 : 0)
const percent = (share: number, digits = 1) => (Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '-')
const p = (values: readonly number[], q: number) => quantile(values, q)

export function sizesTable(rows: readonly SizeRow[]): string {
  return table(
    [
      'nodes',
      'RPCs a look-up, p50 / p99',
      'hops',
      'ms, p50 / p99',
      'holder known after ms',
      'found',
      'announcements a key',
      'ms, p50',
      'delivered',
      'feedback → header ms, p50 / p99',
      'uninterested receivers',
      'copies',
    ],
    rows.map(({ n, lookups, deliveries }) => [
      n,
      `${p(lookups.rpcs, 0.5)} / ${p(lookups.rpcs, 0.99)}`,
      p(lookups.hops, 0.5),
      `${ms(p(lookups.ms, 0.5))} / ${ms(p(lookups.ms, 0.99))}`,
      ms(p(lookups.firstMs, 0.5)),
      percent(lookups.foundShare, 0),
      rounded(lookups.announcementsPerKey, 1),
      ms(p(lookups.announceMs, 0.5)),
      `${percent(deliveries.ratio, 2)} of ${deliveries.expected}`,
      `${ms(p(deliveries.headerMs, 0.5))} / ${ms(p(deliveries.headerMs, 0.99))}`,
      percent(deliveries.uninterestedShare),
      rounded(deliveries.copies, 1),
    ]),
  )
}

export function costsTable(rows: readonly SizeRow[]): string {
  return table(
    ['nodes', 'settled after s', 'bytes a packet', 'CPU of a core', 'RSS MB', 'DHT requests', 'provider records'],
    rows.map(row => [
      row.n,
      rounded(row.settleMs / 1000, 1),
      rounded(row.bytesPerPacket),
      `${rounded(row.cpuPct, 1)} %`,
      rounded(row.rssMb),
      rounded(row.rpcs),
      rounded(row.records),
    ]),
  )
}

export function sharesTable(rows: readonly ReceivedRow[]): string {
  return table(
    [
      'distinct questions',
      'single: subscribed',
      'single: with visits',
      'single: cells',
      'single: of all kinds',
      'mixed: subscribed',
      'mixed: with visits',
      'mixed: cells',
    ],
    rows.map(({ questions, single, mixed, allKinds }) => [
      questions,
      percent(single.subscribed),
      percent(single.held),
      rounded(single.cells, 1),
      percent(allKinds),
      percent(mixed.subscribed),
      percent(mixed.held),
      rounded(mixed.cells, 1),
    ]),
  )
}

export function unrestTable({ churn, silent }: { churn: ChurnFigures; silent: SilentFigures }): string {
  type Row = Pick<SilentFigures, 'packets' | 'expected' | 'ratio' | 'arrivalMs' | 'lookups'>
  const row = (name: string, { packets, expected, ratio, arrivalMs, lookups }: Row, others: number) => [
    name,
    packets,
    `${percent(ratio, 2)} of ${expected}`,
    percent(others, 2),
    `${ms(p(arrivalMs, 0.5))} / ${ms(p(arrivalMs, 0.99))}`,
    `${p(lookups.rpcs, 0.5)} / ${p(lookups.rpcs, 0.99)}`,
    `${ms(p(lookups.ms, 0.5))} / ${ms(p(lookups.ms, 0.99))}`,
    ms(p(lookups.firstMs, 0.5)),
    percent(lookups.foundShare, 0),
  ]
  return table(
    [
      '',
      'packets',
      'delivered',
      'of it, to those there throughout; to the silent, awake again',
      'feedback → arrival ms, p50 / p99',
      'RPCs a look-up',
      'ms a look-up',
      'holder known after ms',
      'found',
    ],
    [
      row(`${churn.replaced} nodes replaced in ${churn.seconds} s`, churn, churn.steadyRatio),
      row(`${silent.silent} nodes silent`, silent, silent.caughtUp),
    ],
  )
}

export function idleTable({ sidecar, bare }: IdleRow): string {
  return table(
    ['idle, alone in its process', 'RSS MB', 'of it not shared', 'CPU of a core'],
    [
      ['whole sidecar', rounded(sidecar.rssMb), rounded(sidecar.ownMb), `${rounded(sidecar.cpuPct, 2)} %`],
      ['router and network', rounded(bare.rssMb), rounded(bare.ownMb), `${rounded(bare.cpuPct, 2)} %`],
    ],
  )
}
