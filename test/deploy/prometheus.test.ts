import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { suite, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { documentedMetrics } from '../support/metric-reference.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const DEPLOY = join(import.meta.dirname, '../../deploy')
const START_DEADLINE_MS = 60_000
const SCRAPE_DEADLINE_MS = 60_000
const TOKEN = 'scraped-by-prometheus-only'

const missing = ['promtool', 'prometheus'].find(program => spawnSync(program, ['--version']).error)
const skip = missing !== undefined && `${missing} is not installed (Debian: apt-get install prometheus)`

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: DEPLOY, encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
}

suite('promtool', { skip }, () => {
  test('finds nothing wrong with the configuration and the rules', () => {
    promtool('check', 'config', '--syntax-only', 'prometheus.yml')
    promtool('check', 'rules', 'alerts.yml')
  })

  test('sees the alerts fire when they must, and only then', () => promtool('test', 'rules', 'alerts.test.yml'))
})

interface Prometheus extends AsyncDisposable {
  query(expression: string): Promise<unknown[]>
  api(path: string): Promise<unknown>
}

/** A real one, on a free port, with our configuration but for its targets and its haste. */
async function startPrometheus(folder: string, target: string): Promise<Prometheus> {
  const config = parse(readFileSync(join(DEPLOY, 'prometheus.yml'), 'utf8'))
  const [job] = config.scrape_configs
  job.static_configs = [{ targets: [target] }]
  job.authorization.credentials_file = join(folder, 'token')
  config.global = { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' }
  config.rule_files = [join(DEPLOY, 'alerts.yml')]
  await writeFile(join(folder, 'token'), TOKEN)
  await writeFile(join(folder, 'prometheus.yml'), stringify(config))
  const child = spawn('prometheus', [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    '--web.listen-address=127.0.0.1:0',
  ])
  const said: string[] = []
  const origin = Promise.withResolvers<string>()
  createInterface({ input: child.stderr }).on('line', line => {
    said.push(line)
    const [, address] = /Listening on.*address=(\S+)/.exec(line) ?? []
    if (address !== undefined) origin.resolve(`http://${address}`)
  })
  child.once('exit', code => origin.reject(new Error(`prometheus ended with code ${code}:\n${said.join('\n')}`)))
  const late = setTimeout(() => origin.reject(new Error(`no address in\n${said.join('\n')}`)), START_DEADLINE_MS)
  try {
    const base = await origin.promise
    await until('prometheus to be ready', async () => (await fetch(`${base}/-/ready`)).ok, {
      deadlineMs: START_DEADLINE_MS,
      everyMs: 50,
    })
    const api = async (path: string) => {
      const answer = (await (await fetch(`${base}/api/v1/${path}`)).json()) as Record<string, unknown>
      assert.equal(answer.status, 'success', `${path}: ${JSON.stringify(answer)}`)
      return answer.data
    }
    return {
      api,
      query: async expression =>
        ((await api(`query?query=${encodeURIComponent(expression)}`)) as { result: unknown[] }).result,
      [Symbol.asyncDispose]: () => stop(child),
    }
  } catch (error) {
    await stop(child)
    throw error
  } finally {
    clearTimeout(late)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

test('a real Prometheus scrapes a real sidecar, knows every documented metric, and understands every panel', {
  skip,
}, async () => {
  await using folder = await tempFolder()
  await using model = createPracticeModel()
  await using sidecar = await startSidecar({
    QIS_DATA: join(folder.path, 'data'),
    QIS_UPSTREAM: await model.listen(),
    QIS_MODE: 'off',
    QIS_ADMIN_LISTEN: '0.0.0.0:0',
    QIS_ADMIN_TOKEN: TOKEN,
  })
  const answer = await chat(sidecar.data, 'What is 17 times 23?')
  await answer.text()
  const request_id = answer.headers.get('x-qis-request-id')
  assert.equal((await postFeedback(sidecar.data, { request_id, rating: 'up' })).status, 202)

  const target = sidecar.admin.replace('http://0.0.0.0', '127.0.0.1')
  await using prometheus = await startPrometheus(folder.path, target)
  await until('the first scrape', async () => (await prometheus.query('up{job="qis-sidecar"} == 1')).length > 0, {
    deadlineMs: SCRAPE_DEADLINE_MS,
    everyMs: 100,
  })

  const metadata = (await prometheus.api('metadata')) as Record<string, { type: string }[]>
  const ours = Object.entries(metadata).filter(([name]) => /^(?:qis|gen_ai)_/.test(name))
  const types = ours.map(([name, [first]]) => [name, first?.type])
  assert.deepEqual(Object.fromEntries(types), Object.fromEntries(documentedMetrics()))

  const { panels } = JSON.parse(readFileSync(join(DEPLOY, 'grafana/dashboard.json'), 'utf8')) as {
    panels: { title: string; targets?: { expr: string }[] }[]
  }
  const filledIn = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      title,
      expr: expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m'),
    })),
  )
  assert.ok(filledIn.length > 20)
  for (const { expr } of filledIn) await prometheus.query(expr)
  const shown = async (title: string) =>
    prometheus.query(filledIn.find(panel => panel.title === title)?.expr ?? `no panel ${title}`)
  for (const title of ['LLM servers up', 'Peers', 'Memory', 'Live outcomes in memory']) {
    assert.equal((await shown(title)).length, 1, title)
  }
  assert.deepEqual(await prometheus.query('ALERTS{alertstate="firing"}'), [])
})
