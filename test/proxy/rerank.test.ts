import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { refused } from '../support/asking.ts'
import { askModel, modelServer, post, rate } from '../support/models.ts'
import { startTestSidecar } from '../support/sidecar.ts'

const QUERY = 'How do I cancel my train ticket and get a refund?'
const BIRD = 'The nightingale sings at night, the lark in the morning.'
const CANCEL = 'To cancel a train ticket and get a refund, open your booking and choose cancel.'
const REFUND = 'A refund for a cancelled train ticket is paid within seven days.'
const path = '/qis/rerank'

interface Ranked {
  id: string
  results: { index: number; relevance_score: number; document?: { text: string; source?: string } }[]
  qis: { domain: string; sources: Record<string, { effect: number; weight: number; outcomes: number }> }
}

suite('POST /qis/rerank', () => {
  test('without any evidence orders by likeness to the query', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const rank = async (body: object) => (await (await post(sidecar.data, body, { path })).json()) as Ranked
    const { results, qis } = await rank({ model: 'any', query: QUERY, documents: [BIRD, CANCEL, '', { text: REFUND }] })
    assert.deepEqual(
      results.map(({ index }) => index),
      [1, 3, 0, 2],
    )
    assert.ok(
      results.every(({ relevance_score: score }, at) => score <= 1 && score >= (results[at + 1]?.relevance_score ?? 0)),
    )
    assert.equal(results[3]?.relevance_score, 0, 'nothing to compare')
    assert.deepEqual(qis, { domain: 'general', sources: {} })
    const cut = await rank({
      query: QUERY,
      documents: [BIRD, { text: CANCEL, source: 'faq', page: 7 }],
      top_n: 1,
      return_documents: true,
    })
    assert.deepEqual(
      cut.results.map(({ index, document }) => [index, document]),
      [[1, { text: CANCEL, source: 'faq', page: 7 }]],
    )
    const plain = await rank({ query: QUERY, documents: [BIRD], return_documents: true })
    assert.deepEqual(plain.results[0]?.document, { text: BIRD })
    assert.equal(upstream.requests.length, 0)
  })

  test('raises sources that led to good answers to such questions, and lowers the others', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const documents = [
      { text: CANCEL, source: 'forum' },
      { text: REFUND, source: 'manual' },
    ]
    const rank = async (query: string) =>
      (await (await post(sidecar.data, { query, documents }, { path })).json()) as Ranked
    const order = async (query: string) => (await rank(query)).results.map(({ index }) => index)
    assert.deepEqual(await order(QUERY), [0, 1])
    for (let asked = 0; asked < 6; asked++) {
      const misled = await askModel(sidecar.data, 'm', QUERY, { 'x-qis-strategy': 'forum' })
      await rate(sidecar.data, misled, { rating: 'down' })
      const helped = await askModel(sidecar.data, 'm', QUERY, { 'x-qis-strategy': 'manual' })
      await rate(sidecar.data, helped, { rating: 'up' })
    }
    const { results, qis } = await rank(QUERY)
    assert.deepEqual(
      results.map(({ index }) => index),
      [1, 0],
    )
    assert.ok((qis.sources.forum?.effect ?? 0) < -0.2 && (qis.sources.manual?.effect ?? 0) > 0.2)
    assert.equal(qis.sources.manual?.outcomes, 6)
    const elsewhere = await rank('Which bird sings at night?')
    assert.ok(Math.abs(elsewhere.qis.sources.forum?.effect ?? 1) < 0.05, 'of other questions nothing was said')
  })

  test('is also where clients of other services ask, given /qis as their base', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    for (const alias of ['/qis/v1/rerank', '/qis/v2/rerank']) {
      assert.equal((await post(sidecar.data, { query: QUERY, documents: [BIRD] }, { path: alias })).status, 200)
    }
  })

  test('refuses what it cannot read, by the field, and more than it may take', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    const bad: [body: unknown, field: string][] = [
      [{ documents: ['a'] }, 'query'],
      [{ query: '?', documents: ['a'] }, 'query'],
      [{ query: QUERY }, 'documents'],
      [{ query: QUERY, documents: [] }, 'documents'],
      [{ query: QUERY, documents: Array(1001).fill('a') }, 'documents'],
      [{ query: QUERY, documents: ['a', 7] }, 'documents[1]'],
      [{ query: QUERY, documents: [{ source: 'a' }] }, 'documents[0].text'],
      [{ query: QUERY, documents: ['a', { text: 'a', source: 'Not A Label' }] }, 'documents[1].source'],
      [{ query: QUERY, documents: ['a'], top_n: 0 }, 'top_n'],
    ]
    for (const [body, field] of bad)
      await refused(await post(sidecar.data, body, { path }), 422, 'invalid_field', field)
    const huge = { query: QUERY, documents: Array(5).fill('a '.repeat(500_000)) }
    await refused(await post(sidecar.data, huge, { path }), 413, 'body_too_large', null)
  })

  test('QIS_RERANK_DEADLINE_MS ends what takes too long', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, { QIS_RERANK_DEADLINE_MS: '1' })
    const documents = Array.from({ length: 1000 }, (_, at) => `${at} ${CANCEL.repeat(20)}`)
    await refused(await post(sidecar.data, { query: QUERY, documents }, { path }), 503, 'embedder_unavailable', null)
  })
})
