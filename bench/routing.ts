/** What `qis/auto` gains while it learns from its own answers alone: a table of outcomes, replayed question by question. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embedText } from '../embeddings/static.ts'
import { BUILT_IN_SPACE } from '../embeddings/table.ts'
import { seededRandom, shuffle } from '../embeddings/train/corpus.ts'
import { createPolicies } from '../proxy/routing/policies.ts'
import { createRouting } from '../proxy/routing/routing.ts'
import { profiles } from '../router/disclosure.ts'
import { loadIdentity } from '../router/identity.ts'
import { modelVariant } from '../router/model-variant.ts'
import { createMemorySwarm } from '../router/network/memory.ts'
import { createRouter } from '../router/router.ts'
import { loadSpace } from '../router/space.ts'
import { openDatabase } from '../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../router/store/sqlite.ts'
import { unobserved } from '../router/telemetry.ts'
import { readArguments } from './arguments.ts'
import { readTable, type TableRow } from './routing/table.ts'

const values = readArguments(import.meta.filename, {
  table: {
    type: 'string',
    default: join(import.meta.dirname, '../../shared/data/outcomes/llmrouter-dc'),
    help: 'the folder of <name>.questions.jsonl and <name>.outcomes.csv',
  },
  json: { type: 'boolean', help: 'the figures alone, as JSON' },
  seeds: { type: 'string', default: '1', help: 'how many' },
  tagged: { type: 'boolean', default: false, help: 'questions come with their domains' },
  logs: {
    type: 'boolean',
    default: false,
    help: "every model's outcome is learnt of each question before anything is counted, as from logs, and not the chosen one's alone",
  },
})
/** Asked and rated before anything is counted, and counted after. */
const WARM_UP = 4_000
const COUNTED = 1_500
const PRICE_WEIGHTS = [0, 0.1, 0.3]

const { models, rows } = readTable(values.table)
const space = await loadSpace(join(import.meta.dirname, '../embeddings/spaces', BUILT_IN_SPACE))
const silent = { debug() {}, info() {}, warn() {} }
const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length

/** Share of right answers among those counted, and the mean price of a question. */
async function replay(order: readonly TableRow[], priceWeight: number, random: () => number) {
  await using parts = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'qis-bench-'))
  parts.defer(() => rm(folder, { recursive: true, force: true }))
  const identity = await loadIdentity(join(folder, 'identity.key'))
  const database = parts.use(await openDatabase({ file: ':memory:', schemas: [routerSchema] }))
  const network = createMemorySwarm().createNetwork({ id: identity.id })
  const router = createRouter(
    { space, store: createSqliteStore(database), network, identity, logger: silent, observer: unobserved, random },
    { mode: 'off', profile: profiles.open },
  )
  parts.defer(() => router.stop())
  await router.start()
  const route = { route: models, routePriceWeight: priceWeight, routeExplore: 0.02 }
  const routing = createRouting({ policies: createPolicies(route, undefined, ''), available: () => true, random })
  const body = Buffer.from('{}')
  const counted: { right: number; price: number }[] = []
  for (const [at, row] of order.entries()) {
    const vector = embedText(row.text)
    const domain = values.tagged ? row.task : 'general'
    const { code } = router.around(vector)
    const learn = (place: number) =>
      router.learn({
        requestId: `${at}/${place}`,
        code,
        domain,
        model: modelVariant(models[place]?.name ?? ''),
        signal: row.right[place] ?? 0,
        observer: 'h',
        intervention: 1,
      })
    if (values.logs && at < WARM_UP) {
      await Promise.all(models.map((_, place) => learn(place)))
      continue
    }
    const lookup = (model: string) => router.lookup({ vector, domain, model })
    const made = routing.choose({ asked: 'qis/auto', domain, body, caller: () => undefined, only: false, lookup })
    const place = models.findIndex(({ name }) => name === made?.chosen.name)
    await learn(place)
    if (at >= WARM_UP) counted.push({ right: row.right[place] ?? 0, price: models[place]?.price ?? 0 })
  }
  return { right: mean(counted.map(({ right }) => right)), price: mean(counted.map(({ price }) => price)) }
}

const results = []
for (let seed = 1; seed <= Number(values.seeds); seed++) {
  const order = [...rows]
  shuffle(order, seededRandom(seed))
  const used = order.slice(0, WARM_UP + COUNTED)
  const [before, counted] = [used.slice(0, WARM_UP), used.slice(WARM_UP)]
  const single = models.map((_, at) => mean(before.map(({ right }) => right[at] ?? 0)))
  const best = single.indexOf(Math.max(...single))
  const auto: Record<string, { right: number; price: number }> = {}
  for (const weight of PRICE_WEIGHTS) auto[weight] = await replay(used, weight, seededRandom(seed + 100))
  results.push({
    seed,
    random: mean(counted.map(({ right }) => mean(right))),
    best_single: { right: mean(counted.map(({ right }) => right[best] ?? 0)), price: models[best]?.price },
    auto,
    oracle: mean(counted.map(({ right }) => Math.max(...right))),
  })
}

const digits = (_key: string, value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value)
if (!values.json) for (const result of results) console.log(JSON.stringify(result, digits, 2))
console.log(JSON.stringify({ questions: WARM_UP + COUNTED, tagged: values.tagged, logs: values.logs, results }, digits))
