import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { refused } from '../support/asking.ts'
import { askModel, modelServer, post, rate } from '../support/models.ts'
import { startTestSidecar } from '../support/sidecar.ts'

const DOSE = 'How much ibuprofen may an adult take per day?'
const MODEL = 'Meta/Alpha-7B-AWQ'
const path = '/qis/advise'

interface Told {
  domain: string
  domain_source: string
  fingerprint: string
  cells: { cell: string; outcomes: number; packets: number; weight: number }[]
  models: {
    model: string
    variant: string
    confidence: number | null
    expected: number
    deviation: number
    evidence: string
    weight: number
    why: Record<'this_model' | 'other_models', { outcomes: number; packets: number; peers: number; weight: number }>
    would_change: {
      next_grade: { grade: string; outcomes: number } | null
      after_one_good: number
      after_one_bad: number
    }
  }[]
}

suite('POST /qis/advise', () => {
  test('tells what is known of a text for each model, why, and what would change it, and asks no model', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const advise = async (body: object) => (await (await post(sidecar.data, body, { path })).json()) as Told
    const nothing = await advise({ text: DOSE, model: MODEL })
    assert.deepEqual([nothing.domain, nothing.domain_source], ['general', 'default'])
    assert.ok(nothing.cells.length >= 8 && nothing.cells.every(({ outcomes }) => outcomes === 0))
    assert.deepEqual(
      [nothing.models[0]?.confidence, nothing.models[0]?.evidence, nothing.models[0]?.variant],
      [null, 'none', 'alpha-7b'],
    )
    for (let asked = 0; asked < 2; asked++) {
      await rate(sidecar.data, await askModel(sidecar.data, MODEL, DOSE), { rating: 'down' })
    }
    const before = upstream.requests.length
    const told = await advise({ text: DOSE, models: [MODEL, 'beta-7b'], domain: 'general' })
    assert.equal(upstream.requests.length, before)
    const [alpha, beta] = told.models
    assert.ok(alpha && beta)
    assert.ok(alpha.confidence !== null && alpha.confidence < 0.4)
    const header = (await askModel(sidecar.data, MODEL, DOSE)).header('confidence')
    assert.ok(
      Math.abs(alpha.confidence - Number(header)) <= 0.006,
      'the same as an answer would carry, with a digit more',
    )
    assert.deepEqual(alpha.why.this_model, { outcomes: 2, packets: 0, peers: 0, weight: alpha.why.this_model.weight })
    assert.ok(alpha.why.this_model.weight > 0.1)
    assert.deepEqual([beta.why.this_model.outcomes, beta.why.other_models.outcomes], [0, 2])
    const [cell] = told.cells
    assert.deepEqual([cell?.cell, cell?.outcomes, cell?.packets], [told.fingerprint.slice(0, 2), 2, 0])
    assert.ok(alpha.would_change.after_one_bad <= alpha.expected && alpha.would_change.after_one_good > alpha.expected)
  })

  test('foretells how many more outcomes raise the grade', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const advise = async () => {
      const told = (await (await post(sidecar.data, { text: DOSE, model: MODEL }, { path })).json()) as Told
      assert.ok(told.models[0])
      return told.models[0]
    }
    const {
      would_change: { next_grade: next },
    } = await advise()
    assert.ok(next)
    for (let more = 0; more < next.outcomes; more++) {
      assert.notEqual((await advise()).evidence, next.grade)
      await rate(sidecar.data, await askModel(sidecar.data, MODEL, DOSE), { score: 0.5 })
    }
    assert.equal((await advise()).evidence, next.grade)
  })

  test('asks about the models of QIS_ROUTE when none is named', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, { QIS_ROUTE: 'alpha-7b, beta-7b' })
    const { models } = (await (await post(sidecar.data, { text: DOSE }, { path })).json()) as Told
    assert.deepEqual(
      models.map(({ model }) => model),
      ['alpha-7b', 'beta-7b'],
    )
  })

  test('refuses what it cannot read, by the field', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const bad: [body: unknown, field: string | null][] = [
      [{ model: 'm' }, 'text'],
      [{ text: 7, model: 'm' }, 'text'],
      [{ text: DOSE }, 'models'],
      [{ text: DOSE, models: [] }, 'models'],
      [{ text: DOSE, models: ['a', 7] }, 'models[1]'],
      [{ text: DOSE, model: 'm', domain: 'Nonsense!' }, 'domain'],
      [{ text: DOSE, model: 'm', modell: 'n' }, 'modell'],
      [{ text: '???', model: 'm' }, 'text'],
      [[], null],
    ]
    for (const [body, field] of bad)
      await refused(await post(sidecar.data, body, { path }), 422, 'invalid_field', field)
    await refused(await post(sidecar.data, '{', { path }), 400, 'invalid_json', null)
    await refused(await fetch(sidecar.data + path), 404, 'not_found', null)
  })

  test('beyond loopback demands the token, and no foreign page may ask', async () => {
    await using upstream = await modelServer([])
    const settings = { QIS_DATA_LISTEN: '0.0.0.0:8787', QIS_ADMIN_TOKEN: 'secret' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    const body = { text: DOSE, model: 'm' }
    const authorization = 'Bearer secret'
    for (const one of [path, '/qis/rerank']) {
      await refused(await post(sidecar.data, body, { path: one }), 401, 'unauthorized', null)
      const headers = { authorization, origin: 'https://evil.example' }
      await refused(await post(sidecar.data, body, { path: one, headers }), 403, 'origin_refused', null)
    }
    assert.equal((await post(sidecar.data, body, { path, headers: { authorization } })).status, 200)
  })
})
