/** Each setting that reloads, changed in a running sidecar: what it does is seen to change. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, suite, test } from 'node:test'
import { reloaded } from '../../proxy/config/reload.ts'
import { type Config, readConfig, readSettings } from '../../proxy/config.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'

suite('a setting that reloads', () => {
  const parts = new AsyncDisposableStack()
  let site: TestSidecar
  let current: Config
  let common: Record<string, string>
  /** Of the last request, as the upstream got it. */
  let last: { headers: Record<string, unknown>; body: string } = { headers: {}, body: '' }

  before(async () => {
    const upstream = parts.use(
      await startUpstream({
        handler: async ({ request, response }) => {
          const { bytes } = (await request.body) as { bytes: Buffer }
          last = { headers: request.headers as never, body: String(bytes ?? '') }
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end('{"id":"chatcmpl-1","model":"m","choices":[{"index":0,"message":{"content":""}}]}')
        },
      }),
    )
    site = parts.use(await startTestSidecar(upstream.url))
    common = { QIS_CONFIG: 'off', QIS_DATA: site.dataDir, QIS_MODE: 'off', QIS_PROFILE: 'open', QIS_IMPLICIT: 'off' }
    current = readConfig(common)
  })
  after(() => parts.disposeAsync())

  /** From now on these are the settings, beside the common ones. */
  async function set(settings: Record<string, string> = {}): Promise<void> {
    const { config, waiting } = reloaded(current, readSettings({ ...common, ...settings }))
    assert.deepEqual(waiting, [])
    await site.sidecar.reload(config)
    current = config
  }

  async function ask(model = 'm', headers: Record<string, string> = {}) {
    const response = await fetch(`${site.data}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: QUESTION }] }),
    })
    await response.text()
    return response.headers
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const statusAt = async (url: string, headers = {}) => (await fetch(url, { headers })).status
  const count = (sql: string) => {
    using database = new DatabaseSync(join(site.dataDir, 'qis.db'), { readOnly: true })
    return Number(Object.values(database.prepare(sql).get() ?? { count: 0 })[0])
  }

  test('QIS_ADMIN_TOKEN and QIS_METRICS_TOKEN', async () => {
    assert.equal(await statusAt(`${site.admin}/qis/status`), 200)
    await set({ QIS_ADMIN_TOKEN: 'one', QIS_METRICS_TOKEN: 'two' })
    assert.equal(await statusAt(`${site.admin}/qis/status`), 401)
    assert.equal(await statusAt(`${site.admin}/qis/status`, bearer('one')), 200)
    assert.equal(await statusAt(`${site.admin}/metrics`, bearer('two')), 200)
    await set()
    assert.equal(await statusAt(`${site.admin}/qis/status`), 200)
  })

  test('QIS_EVALUATOR_TOKEN', async () => {
    const id = (await ask()).get('x-qis-request-id')
    const verdict = () =>
      postFeedback(site.data, { request_id: id, rating: 'up', source: 'evaluator' }, bearer('judge'))
    assert.equal((await verdict()).status, 403)
    await set({ QIS_EVALUATOR_TOKEN: 'judge' })
    assert.equal((await verdict()).status, 202)
  })

  test('QIS_FEEDBACK_ORIGINS', async () => {
    const from = { origin: 'https://chat.example' }
    assert.equal((await postFeedback(site.data, {}, from)).status, 403)
    await set({ QIS_FEEDBACK_ORIGINS: 'https://chat.example' })
    assert.notEqual((await postFeedback(site.data, {}, from)).status, 403)
    await set()
  })

  test('QIS_RATE_LIMIT', async () => {
    await set({ QIS_RATE_LIMIT: '1' })
    const statuses = [await statusAt(`${site.admin}/qis/status`), await statusAt(`${site.admin}/qis/status`)]
    assert.ok(statuses.includes(429), String(statuses))
    await set({ QIS_RATE_LIMIT: '0' })
    assert.equal(await statusAt(`${site.admin}/qis/status`), 200)
    await set()
  })

  test('QIS_UPSTREAM_HEADERS', async () => {
    await ask()
    assert.ok('x-qis-request-id' in last.headers)
    await set({ QIS_UPSTREAM_HEADERS: 'off' })
    await ask()
    assert.ok(!('x-qis-request-id' in last.headers))
    await set()
  })

  test('QIS_MAX_BODY_BYTES and QIS_ADVICE_BODY_BYTES', async () => {
    await set({ QIS_MAX_BODY_BYTES: '10' })
    assert.equal((await chat(site.data, QUESTION)).status, 413)
    await set({ QIS_ADVICE_BODY_BYTES: '1024' })
    const long = await chat(site.data, QUESTION.repeat(40))
    assert.deepEqual([long.status, long.headers.get('x-qis-receipt')], [200, null])
    await set()
    assert.ok((await chat(site.data, QUESTION.repeat(40))).headers.get('x-qis-receipt'))
  })

  test('QIS_IMPLICIT', async () => {
    const outcomes = () => count("SELECT count(*) FROM outcomes WHERE json_extract(outcome, '$.observer') = 'i'")
    await ask()
    assert.equal(outcomes(), 0)
    await set({ QIS_IMPLICIT: 'empty' })
    await ask()
    await until('an empty answer to count', () => outcomes() === 1)
    await set()
  })

  test('QIS_KEEP_CORRECTIONS', async () => {
    const kept = async (settings: Record<string, string>, words: string) => {
      await set(settings)
      const request_id = (await ask()).get('x-qis-request-id')
      await postFeedback(site.data, { request_id, rating: 'down', correction: { type: 'factual', text: words } })
      const all = await (await fetch(`${site.admin}/qis/feedback`)).text()
      return all.includes(words)
    }
    assert.equal(await kept({}, 'never more than two'), false)
    assert.equal(await kept({ QIS_KEEP_CORRECTIONS: 'on' }, 'never more than three'), true)
    await set()
  })

  test('QIS_ROUTE and QIS_ROUTE_POLICIES', async () => {
    assert.equal((await ask('qis/auto')).get('x-qis-model'), null)
    const file = join(site.dataDir, 'policies.yaml')
    await writeFile(file, 'policies: {cheap: {models: [b]}}\n')
    const route = { QIS_ROUTE: 'a=1, b=2', QIS_ROUTE_POLICIES: file }
    await set(route)
    assert.equal((await ask('qis/auto:cheap')).get('x-qis-model'), 'b')
    await writeFile(file, 'policies: {cheap: {models: [a]}}\n')
    await set(route)
    assert.equal((await ask('qis/auto:cheap')).get('x-qis-model'), 'a')
    await writeFile(file, 'policies: {cheap: {models: [c]}}\n')
    await assert.rejects(set({ ...route, QIS_MAX_BODY_BYTES: '1' }), /must be a model of QIS_ROUTE/)
    assert.equal((await ask('qis/auto:cheap')).get('x-qis-model'), 'a', 'all is as it was')
    await set()
    assert.equal((await ask('qis/auto')).get('x-qis-model'), null)
  })

  test('QIS_REFINE', async () => {
    await set({ QIS_REFINE: 'on', QIS_REFINE_DOMAINS: 'medicine', QIS_REFINE_HOLDOUT: '0.01' })
    const domain = { 'x-qis-domain': 'medicine' }
    for (let given = 0; given < 6; given++) {
      const request_id = (await ask('m', domain)).get('x-qis-request-id')
      await postFeedback(site.data, { request_id, rating: 'down', correction: { type: 'format' } })
    }
    await until('an instruction', async () => {
      await ask('m', domain)
      return last.body.includes('requested format')
    })
    await set()
    await ask('m', domain)
    assert.ok(!last.body.includes('requested format'))
  })
})
