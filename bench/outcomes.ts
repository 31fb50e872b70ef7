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

const HELP = `bench:outcomes --table FOLDER [--json] [--quick] [--only ${PARTS}] [--seeds 5] [--models 3] [--tested 1500] [--charts FOLDER]

On one quiet core, a table of 6,000 questions, reckoned from parts: --quick 5 minutes; whole (5 seeds, 3 models a seed, one where peers lie) about
90 minutes, of which base 20, sizes 15, routing 5, poison 50, lookup 1: parts may run side by side.`

const { values } = parseArgs({
  options: {
    table: { type: 'string' },
    json: { type: 'boolean' },
    /** One seed, few models and settings: a minute. */
    quick: { type: 'boolean' },
    only: { type: 'string' },
    seeds: { type: 'string' },
    /** So many of the table's models a seed, evenly spread; the next seed takes the next. */
    models: { type: 'string' },
    /** Questions tested a model and seed. */
    tested: { type: 'string' },
    /** Where charts go; none are drawn without it. */
    charts: { type: 'string' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit()
}
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
  modelsOf: seed => spread(table.models.length, Number(values.models ?? 3), seed - 1),
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

function spread(count: number, most: number, from: number): number[] {
  const taken = Math.min(count, most)
  return Array.from({ length: taken }, (_, i) => (Math.floor((i * count) / taken) + from) % count)
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value
}
