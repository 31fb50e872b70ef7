/** Whether advice is right: replays a table of outcomes through the code that gives it, alone, together and among liars. */

import { PROBES } from '../router/comparison.ts'
import { readArguments } from './arguments.ts'
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

const values = readArguments(import.meta.filename, {
  table: { type: 'string', help: 'the folder of <name>.questions.jsonl and <name>.outcomes.csv; needed' },
  json: { type: 'boolean', help: 'the figures alone, as JSON' },
  quick: {
    type: 'boolean',
    help: 'one seed, few models and settings: 5 minutes on one quiet core; all of it takes about 90',
  },
  only: {
    type: 'string',
    help: 'some of base (20 minutes), sizes (15), routing (5), poison (50), lookup (1), by comma; they may run side by side',
  },
  seeds: { type: 'string', help: 'how many; 5, or 1 with --quick' },
  models: {
    type: 'string',
    help: "so many of the table's models a seed, evenly spread; the next seed takes the next; 3",
  },
  tested: { type: 'string', help: 'questions tested a model and seed; 1500, or 400 with --quick' },
  charts: { type: 'string', help: 'the folder where charts go; none are drawn without it' },
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
