import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { startTestSidecar } from '../support/sidecar.ts'

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
