/** Puts what was just measured into docs/scaling.md, between marks, and leaves the words and what was not measured alone. */
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { simulatedTable } from '../simulate/print.ts'
import type { Simulated } from '../simulate/simulation.ts'
import { drawChart } from './chart.ts'
import { quantile, rounded } from './fit.ts'
import type { SizeRow } from './measure.ts'
import { table } from './print.ts'

const DOCS = join(import.meta.dirname, '../../docs')

/** What else the machine did shows in its load: the measurement itself keeps up to all processors busy. */
export function runConditions(loadBefore: number): string {
  const [loadAfter = Number.NaN] = loadavg()
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} cores (${cpus()[0]?.model.trim()}), load average ${loadBefore.toFixed(1)} before and ${loadAfter.toFixed(1)} after`
}

/** @throws {Error} when the text has no such place */
export function fillBlocks(text: string, blocks: Record<string, string>): string {
  return Object.entries(blocks).reduce((whole, [name, content]) => {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const from = whole.indexOf(begin)
    const to = whole.indexOf(end)
    if (from < 0 || to < from) throw new Error(`docs/scaling.md has no place for ${name}: ${begin} … ${end}`)
    return `${whole.slice(0, from + begin.length)}\n\n${content}\n\n${whole.slice(to)}`
  }, text)
}

export async function writeDocs(
  blocks: Record<string, string>,
  {
    sizes,
    simulated,
    deep,
  }: { sizes: readonly SizeRow[]; simulated: readonly Simulated[]; deep: readonly Simulated[] },
): Promise<void> {
  const file = join(DOCS, 'scaling.md')
  const filled = {
    ...blocks,
    ...(simulated.length > 0 && { simulated: simulatedTable(simulated), deep: simulatedTable(deep) }),
    ...(simulated.length > 0 && sizes.length > 0 && { agreement: agreementTable(sizes, simulated) }),
  }
  await writeFile(file, fillBlocks(await readFile(file, 'utf8'), filled))
  if (simulated.length === 0) return
  const rpcsOf = (rows: readonly Simulated[]) => rows.map(row => [row.n, row.rpcs.p50] as const)
  const chart = drawChart('What it costs to find who shares a kind of question', 'requests, or hops', [
    {
      name: 'requests, real nodes (median)',
      points: sizes.map(({ n, lookups }) => [n, quantile(lookups.rpcs, 0.5)] as const),
      mark: 'dots',
      colour: '#c0392b',
    },
    { name: 'requests, simulated (median)', points: rpcsOf(simulated), mark: 'line', colour: '#c0392b' },
    { name: 'requests, simulated, tables of 10 bits', points: rpcsOf(deep), mark: 'dashes', colour: '#c0392b' },
    {
      name: 'hops, simulated (median)',
      points: simulated.map(row => [row.n, row.hops.p50] as const),
      mark: 'line',
      colour: '#2c6fbb',
    },
  ])
  await writeFile(join(DOCS, 'scaling.svg'), chart)
}

/** Real and simulated look-ups side by side. */
export function agreementTable(sizes: readonly SizeRow[], simulated: readonly Simulated[]): string {
  const rows = sizes.map(({ n, lookups }) => {
    const twin = simulated.find(row => row.n === n)
    const [real, model] = [quantile(lookups.rpcs, 0.5), twin?.rpcs.p50 ?? Number.NaN]
    return [n, real, model, `${rounded(100 * (model / real - 1), 0) ?? '-'} %`]
  })
  return table(['nodes', 'RPCs a look-up, real', 'simulated', 'difference'], rows)
}
