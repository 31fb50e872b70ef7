import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { createMetrics } from '../../proxy/metrics.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'

/** What prom-client keeps of a metric, beside what its types say. */
type Registered = Parameters<Registry['registerMetric']>[0] & { name: string; help: string; labelNames: string[] }

const DOCUMENT = join(import.meta.dirname, '../../docs/metrics.md')
/** prom-client's own, of Node.js and the process. */
const DEFAULTS = /^(?:nodejs|process)_/

/** Every metric that a whole sidecar registers while it is built. */
async function registeredMetrics(): Promise<Registered[]> {
  const seen: Registered[] = []
  const { registerMetric } = Registry.prototype
  Registry.prototype.registerMetric = function (metric) {
    seen.push(metric as Registered)
    return registerMetric.call(this, metric)
  }
  try {
    await using _ = await startTestSidecar('http://127.0.0.1:9')
  } finally {
    Registry.prototype.registerMetric = registerMetric
  }
  return seen
}

function rowOf(metric: Registered): string {
  const type = [Counter, Gauge, Histogram].find(kind => metric instanceof kind)?.name.toLowerCase()
  const labels = metric.labelNames.map(label => `\`${label}\``).join(', ')
  return `| \`${metric.name}\` | ${type} | ${labels === '' ? '' : `${labels} `}| ${metric.help} |`
}

test('docs/metrics.md and the code know the same metrics, with the same types, labels and meanings', async () => {
  const rows = (await registeredMetrics()).filter(({ name }) => !DEFAULTS.test(name)).map(rowOf)
  assert.ok(rows.length > 20)
  const page = await readFile(DOCUMENT, 'utf8')
  const documented = page.split('\n').filter(line => /^\| `(?:qis|gen_ai)_/.test(line))
  assert.deepEqual(documented.sort(), rows.sort())
})

test('questions are counted by how much is known, their embedding is timed, and the database weighed', async () => {
  await using model = createPracticeModel()
  await using sidecar = await startTestSidecar(await model.listen())
  const question = 'How much ibuprofen may an adult take per day?'
  const request_id = (await chat(sidecar.data, question)).headers.get('x-qis-request-id')
  await postFeedback(sidecar.data, { request_id, rating: 'down' })
  const evidence = (await chat(sidecar.data, question)).headers.get('x-qis-evidence')

  const onDisk = statSync(join(sidecar.dataDir, 'qis.db')).size
  const lines = (await (await fetch(`${sidecar.admin}/metrics`)).text()).split('\n')
  assert.ok(lines.includes('qis_advice_total{result="no_evidence",evidence="none"} 1'))
  assert.ok(lines.includes(`qis_advice_total{result="advised",evidence="${evidence}"} 1`))
  assert.ok(lines.includes('qis_embedding_seconds_count 2'))
  const [, bytes] = lines.find(line => line.startsWith('qis_database_bytes '))?.split(' ') ?? []
  assert.ok(Number(bytes) >= onDisk && onDisk > 0)
})

test('the event loop is looked at twenty times a second, which sees what holds it up and lets an idle process sleep', async () => {
  const { registry } = createMetrics()
  /** Of the looks since this was asked last. */
  const lag = async (which: 'min' | 'max') => {
    const name = `nodejs_eventloop_lag_${which}_seconds`
    const line = (await registry.metrics()).split('\n').find(each => each.startsWith(`${name} `))
    return Number(line?.slice(name.length))
  }
  // Before the first look it is the largest number there is. A look is late, and never early.
  const lookAgain = async () => [await lag('min')].find(seconds => seconds < 9)
  const shortest = await until('a look', lookAgain, { everyMs: 300 })
  assert.ok(shortest > 0.045, `${shortest} s between two looks`)

  const holding = setInterval(() => {
    const until = performance.now() + 300
    while (performance.now() < until);
  }, 400)
  try {
    await until('what holds it up', async () => (await lag('max')) > 0.25, { everyMs: 1_000 })
  } finally {
    clearInterval(holding)
  }
})
