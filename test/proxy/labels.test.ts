import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { Agent } from 'undici'
import { readConfig } from '../../proxy/config.ts'
import { createKnownModels } from '../../proxy/upstream/known-models.ts'
import { SHIPPED_DOMAINS } from '../../router/labels.ts'
import { askModel, modelServer, rate } from '../support/models.ts'
import { until } from '../support/poll.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How do I sort a list in Python?'
const IDENTITIES = /john|user-4711|ward-7|smith|canary/i

interface Said {
  model: string
  domain?: string
  strategy?: string
}

/** What is to leave of answers that were asked for so, and the page of metrics. */
async function left(
  listed: readonly string[],
  said: readonly Said[],
  settings: Record<string, string> = {},
): Promise<{ packets: Record<string, unknown>[]; metrics: string }> {
  await using upstream = await modelServer(listed)
  await using run = await startTestSidecar(upstream.url, {
    QIS_MODE: 'share',
    QIS_PROFILE: 'standard',
    ...settings,
  })
  if (listed.length > 0 && settings.QIS_PROFILE !== 'open') {
    await until('the list to be read', async () => (await unlisted(run.admin)).length === 0)
  }
  for (const { model, domain, strategy } of said) {
    const headers = { ...(domain && { 'x-qis-domain': domain }), ...(strategy && { 'x-qis-strategy': strategy }) }
    await rate(run.data, await askModel(run.data, model, QUESTION, headers), { rating: 'down' })
  }
  const metrics = await (await fetch(`${run.admin}/metrics`)).text()
  using database = new DatabaseSync(join(run.dataDir, 'qis.db'), { readOnly: true })
  const payloads = database.prepare('SELECT payload FROM outbox ORDER BY rowid').all()
  return { packets: payloads.map(({ payload }) => JSON.parse(String(payload))), metrics }
}

async function unlisted(admin: string): Promise<string[]> {
  return ((await (await fetch(`${admin}/qis/status`)).json()) as { unlisted: string[] }).unlisted
}

suite('identities in the labels of a request', () => {
  const said: Said[] = [
    { model: 'llama3', domain: 'patient-john-doe-4711', strategy: 'ward-7-smith' },
    { model: 'llama3', domain: 'code.john-doe', strategy: 'CANARYSTRAT' },
    { model: 'john.doe@example.com' },
    { model: 'llama3:user-4711-john' },
    { model: 'patient John Doe ssn 123-45-6789' },
  ]

  test('leave neither with packets nor for the metrics', async () => {
    const { packets, metrics } = await left(['llama3', 'qwen2'], said)
    assert.deepEqual(
      packets.map(({ d, mv, st }) => [d, mv, st]),
      [
        ['general', 'llama3', undefined],
        ['code', 'llama3', undefined],
      ],
    )
    assert.doesNotMatch(JSON.stringify(packets) + metrics, IDENTITIES)
    assert.match(metrics, /qis_outcomes_withheld_total\{reason="model"\} 3/)
    assert.match(metrics, /gen_ai_request_model="other"/)
  })

  test('leave no trace in clinical packets either', async () => {
    const { packets } = await left(['llama3', 'qwen2'], [...said, { model: 'qwen2' }], { QIS_PROFILE: 'clinical' })
    assert.deepEqual(
      packets.map(({ d, mv }) => [d, mv]),
      [['general', 'qwen2']],
    )
  })

  test('leave in an open lab, as its name says', async () => {
    const { packets } = await left(['llama3', 'qwen2'], said, { QIS_PROFILE: 'open' })
    assert.deepEqual(
      packets.map(({ d, mv, st }) => [d, mv, st]),
      [
        ['patient-john-doe-4711', 'llama3', 'ward-7-smith'],
        ['code.john-doe', 'llama3', 'canarystrat'],
        ['general', 'john.doe-example.com', undefined],
        ['general', 'llama3:user-4711-john', undefined],
        ['general', 'patient-john-doe-ss~98db', undefined],
      ],
    )
  })
})

suite('labels that the operator has named', () => {
  test('and those that need no naming are listed for people', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/domains.md'), 'utf8')
    const listed = /without being named, ([^.]*)\./.exec(page)?.[1] ?? ''
    assert.deepEqual(
      [...listed.matchAll(/`([a-z]+)`/g)].map(([, name]) => name),
      [...SHIPPED_DOMAINS],
    )
  })

  test('are told: by QIS_SHARE_DOMAINS, QIS_DOMAINS, QIS_SHARE_STRATEGIES, QIS_ROUTE and behind the address', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'domains.yaml')
    await writeFile(file, 'domains:\n  acme.sales: {examples: []}\n')
    const { packets } = await left(
      [],
      [
        { model: 'gpt-x', domain: 'acme.sales.john', strategy: 'faq.forum' },
        { model: 'gpt-y', domain: 'acme.john' },
      ],
      { QIS_DOMAINS: file, QIS_SHARE_STRATEGIES: 'faq,forum', QIS_ROUTE: 'gpt-x=1,gpt-y=2' },
    )
    assert.deepEqual(
      packets.map(({ d, mv, st }) => [d, mv, st]),
      [
        ['acme.sales', 'gpt-x', 'faq.forum'],
        ['general', 'gpt-y', undefined],
      ],
    )
    const only = await left(['m'], [{ model: 'm', domain: 'acme.john' }], { QIS_SHARE_DOMAINS: 'acme' })
    assert.equal(only.packets[0]?.d, 'acme')
  })
})

suite('a domain that is declared while the sidecar runs', () => {
  test('is listened for from then on', async () => {
    await using folder = await tempFolder()
    await using upstream = await modelServer(['m'])
    const file = join(folder.path, 'domains.yaml')
    const settings = { QIS_MODE: 'share', QIS_PROFILE: 'standard', QIS_DATA: folder.path, QIS_DOMAINS: file }
    await writeFile(file, 'domains:\n  other: {examples: []}\n')
    await using run = await startTestSidecar(upstream.url, settings)
    const keys = async (domain: string) => {
      await askModel(run.data, 'm', QUESTION, { 'x-qis-domain': domain })
      return run.sidecar.router.status().keys
    }
    const general = await keys('general')
    assert.equal(await keys('acme.john'), general)
    await writeFile(file, 'domains:\n  acme: {examples: []}\n')
    await run.sidecar.reload(readConfig({ QIS_CONFIG: 'off', ...settings }))
    assert.ok((await keys('acme.john')) > general)
  })
})

suite('a model that is declared while the sidecar runs', () => {
  for (const QIS_PROFILE of ['standard', 'clinical']) {
    test(`under ${QIS_PROFILE}: what was said before stays here, what is said from then on leaves`, async () => {
      await using upstream = await modelServer(['llama3', 'qwen2'])
      await using run = await startTestSidecar(upstream.url, { QIS_MODE: 'share', QIS_PROFILE })
      await until('the list to be read', async () => (await unlisted(run.admin)).length === 0)
      const settings = { QIS_CONFIG: 'off', QIS_DATA: run.dataDir, QIS_MODE: 'share', QIS_PROFILE, QIS_IMPLICIT: 'off' }
      const withheld = async () =>
        Number(
          /^qis_outcomes_withheld_total\{reason="model"\} (\d+)$/m.exec(
            await (await fetch(`${run.admin}/metrics`)).text(),
          )?.[1] ?? 0,
        )
      const leaving = () => {
        using database = new DatabaseSync(join(run.dataDir, 'qis.db'), { readOnly: true })
        const rows = database.prepare('SELECT payload FROM outbox ORDER BY rowid').all()
        return rows.map(({ payload }) => JSON.parse(String(payload)).mv as string)
      }
      const evidence = () => run.sidecar.router.status().evidence

      const before = await askModel(run.data, 'jane-model', QUESTION)
      await rate(run.data, before, { rating: 'down' })
      assert.deepEqual([await withheld(), leaving(), evidence()], [1, [], 1], 'it counts here, and is counted as kept')

      await run.sidecar.reload(readConfig({ ...settings, QIS_ROUTE: 'jane-model=1, llama3=1' }))
      assert.deepEqual([await withheld(), leaving()], [1, []], 'nothing of before is let out')
      await rate(run.data, await askModel(run.data, 'jane-model', QUESTION), { rating: 'down' })
      assert.deepEqual([await withheld(), leaving()], [1, ['jane-model']])
      await rate(run.data, before, { rating: 'up' })
      assert.deepEqual([await withheld(), leaving()], [1, ['jane-model', 'jane-model']], 'a word of now is one of now')

      await run.sidecar.reload(readConfig(settings))
      await rate(run.data, await askModel(run.data, 'jane-model', QUESTION), { rating: 'down' })
      assert.deepEqual([await withheld(), leaving().length], [2, 2], 'and not any more, once the name is taken back')
    })
  }
})

suite('the models of a server', () => {
  const server = (answers: Record<string, unknown>, counts = { asked: 0 }) =>
    startUpstream({
      handler: async ({ incoming, response }) => {
        counts.asked++
        const answer = answers[incoming.url ?? '']
        response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {}))
      },
    })

  async function known(answers: Record<string, unknown>, options: { models?: string[] } = {}) {
    const counts = { asked: 0 }
    const clock = { now: 0 }
    await using parts = new AsyncDisposableStack()
    const upstream = parts.use(await server(answers, counts))
    const dispatcher = new Agent()
    parts.defer(() => dispatcher.close())
    const models = parts.use(
      createKnownModels(
        { dispatcher, now: () => clock.now },
        { entries: [{ origin: upstream.url, models: options.models ?? [] }] },
      ),
    )
    await models.settled()
    const kept = parts.move()
    return { models, counts, clock, url: upstream.url, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  }

  test('are read from lists of several makes, under one spelling', async () => {
    for (const answers of [
      { '/v1/models': { data: [{ id: 'org/Llama-3-AWQ' }, { id: 'qwen2' }] } },
      { '/api/tags': { models: [{ name: 'llama-3:latest' }, { name: 'qwen2' }] } },
    ]) {
      await using one = await known(answers)
      assert.equal(one.models.of('llama-3'), 'llama-3')
      assert.equal(one.models.of('john'), undefined)
      assert.deepEqual(one.models.unlisted(), [])
    }
    await using tgi = await known({ '/info': { model_id: 'org/Llama-3' } })
    assert.equal(tgi.models.of('tgi'), 'llama-3', 'the only one answers under any name')
  })

  test('are unknown where it lists none or patterns, and it is said so', async () => {
    for (const answers of [{}, { '/v1/models': { data: [{ id: 'openai/*' }] } }, { '/v1/models': 'x' }]) {
      await using one = await known(answers)
      assert.equal(one.models.of('gpt-4o'), undefined)
      assert.deepEqual(one.models.unlisted(), [one.url])
    }
    await using named = await known({}, { models: ['llama3', 'qwen2'] })
    assert.deepEqual([named.models.of('llama3'), named.models.of('x'), named.counts.asked], ['llama3', undefined, 0])
  })

  test('are read anew for a name that is not known, once a minute, and sooner while there is no list', async () => {
    const answers: Record<string, unknown> = {}
    await using one = await known(answers)
    const { models, clock, counts } = one
    const look = async (name: string) => {
      models.of(name)
      await models.settled()
      return models.of(name)
    }
    const before = counts.asked
    assert.equal(await look('a'), undefined)
    assert.equal(counts.asked, before, 'it was asked a moment ago')
    answers['/v1/models'] = { data: [{ id: 'a' }, { id: 'b' }] }
    clock.now += 5_000
    assert.equal(await look('a'), 'a')
    answers['/v1/models'] = { data: [{ id: 'a' }, { id: 'b' }, { id: 'c' }] }
    const asked = counts.asked
    clock.now += 59_000
    assert.equal(await look('c'), undefined)
    assert.equal(counts.asked, asked)
    clock.now += 1_000
    assert.equal(await look('c'), 'c')
    assert.equal(counts.asked, asked + 1)
  })
})
