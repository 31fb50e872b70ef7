/**
 * What the swarm does, measured on real libp2p nodes on this machine, several a process, several processes:
 * `npm run bench:swarm -- --json`. What each figure means is said in docs/scaling.md, which `--write-docs` writes.
 */
import { loadavg } from 'node:os'
import { readArguments } from './arguments.ts'
import { runSimulation } from './simulate/run.ts'
import type { Simulated } from './simulate/simulation.ts'
import { fitLine, quantile, rounded } from './swarm/fit.ts'
import {
  type IdleRow,
  lastShare,
  measureIdle,
  measureReceived,
  measureSize,
  measureUnrest,
  type Plan,
  type SizeRow,
} from './swarm/measure.ts'
import { costsTable, idleTable, sharesTable, sizesTable, unrestTable } from './swarm/print.ts'
import { readQuestions, SHARED } from './swarm/questions.ts'
import { runConditions, writeDocs } from './swarm/write-docs.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  quick: { type: 'boolean', default: false, help: 'few sizes, few questions' },
  n: { type: 'string', help: 'sizes of the swarms, by comma' },
  only: { type: 'string', help: 'some of the phases sizes, shares, churn, idle, simulate, by comma' },
  seed: { type: 'string', default: '1', help: 'of what is drawn by lot' },
  shared: { type: 'string', default: SHARED, help: 'the folder that holds data/' },
  'budget-s': { type: 'string', default: '3600', help: 'no phase begins that would last longer, s' },
  'write-docs': { type: 'boolean', default: false, help: 'put everything into docs/scaling.md and draw its chart' },
})
const [loadBefore = Number.NaN] = loadavg()
const say = values.json ? () => undefined : (line: string) => console.log(line)

const FULL: Plan = {
  sizes: [8, 16, 32, 64, 128],
  askers: 24,
  questions: 3,
  lookups: 24,
  packets: 60,
  perSecond: 10,
  withinMs: 60_000,
  shares: { nodes: 8, authors: 4, steps: [1, 10, 100], packets: 150 },
  // 3 of 16 in 45 s are 25 % a minute
  churn: { stable: 7, silent: 5, mortal: 4, replacements: 3, seconds: 45, lookups: 6 },
  idleSeconds: 20,
}
const QUICK: Plan = {
  ...FULL,
  sizes: [4, 8],
  questions: 1,
  lookups: 8,
  packets: 20,
  shares: undefined,
  churn: { stable: 4, silent: 1, mortal: 3, replacements: 2, seconds: 20, lookups: 2 },
  idleSeconds: 2,
}
/** Bits at which kad-dht's tables stop to split, and what it could be set to. */
const KAD_DHT_BITS = 6
const DEEP_BITS = 10

const chosen = values.quick ? QUICK : FULL
const plan: Plan = { ...chosen, sizes: values.n?.split(',').map(Number) ?? chosen.sizes }
const questions = readQuestions(values.shared, Number(values.seed))

const only = values.only?.split(',')
const skipped: string[] = []
/**
 * Undefined where the phase was not wanted, or there was no time for it.
 *
 * @param seconds that it takes on two quiet cores
 */
async function phase<T>(name: string, of: string, seconds: number, run: () => Promise<T>): Promise<T | undefined> {
  if (only && !only.includes(of)) return undefined
  if (performance.now() / 1000 + seconds > Number(values['budget-s'])) {
    skipped.push(name)
    say(`no time left for: ${name}`)
    return undefined
  }
  const begun = performance.now()
  const result = await run()
  say(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  return result
}

const idle: IdleRow | undefined = await phase('idle', 'idle', 40, () => measureIdle(questions, plan))
if (idle) say(idleTable(idle))
const shares = (await phase('shares', 'shares', 110, () => measureReceived(questions, plan))) ?? []
if (shares.length > 0) say(sharesTable(shares))
const unrest = await phase('churn', 'churn', 150, () => measureUnrest(questions, plan))
if (unrest) say(unrestTable(unrest))
const SIMULATED = [1_000, 10_000, 100_000]
const BIG = 100_000
const simulateSizes = (ns: readonly number[], prefixBits: number) =>
  Promise.all(ns.map(n => runSimulation(n, { seed: Number(values.seed), prefixBits })))
let simulated: Simulated[] = []
if (!values.quick) {
  const wanted = values['write-docs'] ? [...plan.sizes, ...SIMULATED] : [BIG]
  simulated = (await phase('simulated', 'simulate', 40, () => simulateSizes(wanted, KAD_DHT_BITS))) ?? []
}
const sizes: SizeRow[] = []
for (const n of plan.sizes) {
  const row = await phase(`${n} nodes`, 'sizes', 60 + 6 * n, () => measureSize(questions, n, plan))
  if (!row) continue
  sizes.push(row)
  say(sizesTable([row]))
  say(costsTable([row]))
}
if (sizes.length > 1) {
  say(sizesTable(sizes))
  say(costsTable(sizes))
}

const big = simulated.find(({ n }) => n === BIG)
if (values['write-docs']) {
  const blocks = {
    conditions: `${runConditions(loadBefore)}. Left out for want of time: ${skipped.join(', ') || 'nothing'}.`,
    ...(sizes.length > 0 && { sizes: sizesTable(sizes), costs: costsTable(sizes) }),
    ...(shares.length > 0 && { shares: sharesTable(shares) }),
    ...(unrest && { unrest: unrestTable(unrest) }),
    ...(idle && { idle: idleTable(idle) }),
  }
  const deep = simulated.length > 0 ? await simulateSizes(SIMULATED, DEEP_BITS) : []
  await writeDocs(blocks, { sizes, simulated, deep })
}

const rpcs = sizes.map(({ lookups }) => quantile(lookups.rpcs, 0.5))
/** Delays are told of the size that the target names, or the largest that was measured. */
const told = sizes.find(({ n }) => n === 64) ?? sizes.at(-1)
const headerMs = told?.deliveries.headerMs ?? []
console.log(
  JSON.stringify({
    n: sizes.map(({ n }) => n),
    lookup_rpcs_p50: rpcs,
    log_fit_r2: rounded(fitLine(sizes.map(({ n }, at) => [Math.log2(n), rpcs[at] ?? Number.NaN])).r2, 3),
    delivery_ratio: rounded(Math.min(...sizes.map(({ deliveries }) => deliveries.ratio)), 4),
    delay_ms_p50: rounded(quantile(headerMs, 0.5), 1),
    delay_ms_p99: rounded(quantile(headerMs, 0.99), 1),
    uninterested_share: rounded(Math.max(...sizes.map(({ deliveries }) => deliveries.uninterestedShare)), 4),
    node_share_single: rounded(lastShare(shares, 'single'), 3),
    node_share_mixed: rounded(lastShare(shares, 'mixed'), 3),
    churn_delivery_ratio: rounded(unrest?.churn.ratio ?? Number.NaN, 4),
    node_rss_mb: rounded(idle?.sidecar.rssMb ?? Number.NaN),
    node_idle_cpu_pct: rounded(idle?.sidecar.cpuPct ?? Number.NaN, 2),
    sim_100k: big ? { hops_p50: big.hops.p50, msgs_per_node_day: rounded(big.perDay.total) } : null,
  }),
)
