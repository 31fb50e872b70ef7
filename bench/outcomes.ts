/** Whether advice is right: replays a table of outcomes through the code that gives it, alone, together and among liars. */
import { parseArgs } from 'node:util'
import { PROBES } from '../router/comparison.ts'
import { measureBase } from './outcomes/base.ts'
import { drawCharts } from './outcomes/charts.ts'
import { timeLookups } from './outcomes/lookups.ts'
import type { BenchOptions } from './outcomes/options.ts'
import { measurePoisoning } from './outcomes/poisoning.ts'
import { prepare } from './outcomes/prepare.ts'
import { measureRouting } from './outcomes/routing.ts'
import type { World } from './outcomes/scenario.ts'
import { measureSizes } from './outcomes/sizes.ts'
import { readTable } from './outcomes/table.ts'

const PARTS = ['base', 'sizes', 'routing', 'poison', 'lookup'] as const

const { values } = parseArgs({
  options: {
    table: { type: 'string' },
    json: { type: 'boolean' },
    /** One seed, few models and settings: a minute. */
    quick: { type: 'boolean' },
    only: { type: 'string' },
    seeds: { type: 'string' },
    /** At most so many of the table's models, evenly spread. */
    models: { type: 'string' },
    /** Questions tested a model and seed. */
    tested: { type: 'string' },
    /** Where charts go; none are drawn without it. */
    charts: { type: 'string' },
  },
})
if (values.table === undefined)
  throw new Error('--table names the folder of <name>.questions.jsonl and <name>.outcomes.csv')
const only = values.only?.split(',') ?? PARTS
const unknown = only.filter(part => !PARTS.some(known => known === part))
if (unknown.length > 0) throw new Error(`--only knows ${PARTS.join(', ')}, not ${unknown.join(', ')}`)

const table = readTable(values.table)
const world: World = {
  table,
  ...(await prepare(
    table.questions.map(({ text }) => text),
    PROBES,
  )),
  probes: PROBES,
}

const { quick = false } = values
const options: BenchOptions = {
  quick,
  seeds: Array.from({ length: Number(values.seeds ?? (quick ? 1 : 5)) }, (_, i) => i + 1),
  models: spread(table.models.length, Number(values.models ?? (quick ? 3 : 9))),
  tested: Math.min(Number(values.tested ?? (quick ? 400 : 1500)), Math.floor(table.questions.length / 4)),
  say: (line: string) => void (values.json || console.log(line)),
}
const base = only.includes('base') ? await measureBase(world, options) : undefined
const sizes = only.includes('sizes') ? measureSizes(world, options) : undefined
const routing = only.includes('routing') ? measureRouting(world, options) : undefined
const poisoning = only.includes('poison') ? measurePoisoning(world, options) : undefined
const lookup = only.includes('lookup') ? timeLookups(world) : undefined
if (values.charts !== undefined) drawCharts(values.charts, { base, sizes, poisoning })
console.log(JSON.stringify({ ...base, ...sizes, ...routing, ...poisoning, ...lookup }, rounded))

function spread(count: number, most: number): number[] {
  const taken = Math.min(count, most)
  return Array.from({ length: taken }, (_, i) => Math.floor((i * count) / taken))
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value
}
