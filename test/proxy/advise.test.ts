import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Embedder } from '../../embeddings/embedder.ts'
import { EmbedderError } from '../../embeddings/embedder.ts'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { type Adviser, createAdviser, type Departure } from '../../proxy/advise.ts'
import { createDomains } from '../../proxy/domain.ts'
import type { Insight, Question } from '../../router/router.ts'
import { missing, POTION } from '../embeddings/shared-data.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { CHAT_BODY, startUpstream } from '../support/upstream.ts'

const URL = '/v1/chat/completions'
const body = (content: unknown, model = 'Meta/Llama-3.1-8B-Instruct-AWQ') =>
  Buffer.from(JSON.stringify({ model, messages: [{ role: 'user', content }] }))
const insight: Insight = {
  posterior: 0.41,
  code: 'a94a939de36cb2e6',
  confidence: 0.4,
  adjustment: -0.1,
  grade: 'low',
  deviation: 0.2,
  weight: 0.5,
  packets: 1,
  peers: 1,
  prospect: { expected: 0.35, deviation: 0.1 },
}

/** Nothing is configured: only the client tells. */
const untold = await createDomains(
  { embedder: createStaticEmbedder(), mean: new Float32Array(0), logger: { debug() {}, info() {}, warn() {} } },
  undefined,
)

/** An adviser whose embedder does as the test says, and the questions that reached the router. */
function advising(embed: Embedder['embed'], lookup: (question: Question) => Insight = () => insight) {
  const asked: Question[] = []
  const warnings: string[] = []
  const embedder: Embedder = { space: 'test', dimensions: 2, inline: false, embed, async [Symbol.asyncDispose]() {} }
  const router = {
    lookup(question: Question) {
      asked.push(question)
      return lookup(question)
    },
  }
  const logger = { debug() {}, info() {}, warn: (_details: unknown, message = '') => void warnings.push(message) }
  const adviser: Adviser = createAdviser(
    { embedder, router, domains: untold, logger, clock: () => 1_760_000_000_000 },
    { adviceDeadlineMs: 30 },
  )
  const advise = (content: unknown, headers = {}) => adviser.advise(URL, headers, body(content), STAYS)
  return { adviser, advise, asked, warnings }
}
const STAYS: Departure = { left: false, signal: new AbortController().signal }
const one = async () => [Float32Array.of(1, 0)]

suite('advice', () => {
  test('tells the router what is asked, of which model and where, and keeps what feedback needs', async () => {
    const { advise, asked } = advising(one)
    const advice = await advise('hello', { 'x-qis-domain': 'clinical', 'x-qis-self-confidence': '0.7' })
    assert.equal(advice.result, 'advised')
    assert.deepEqual(asked[0], {
      vector: Float32Array.of(1, 0),
      domain: 'clinical',
      model: 'llama-3.1-8b-instruct',
      prior: 0.7,
      strategy: undefined,
    })
    assert.deepEqual(advice.record, {
      requestId: advice.requestId,
      code: insight.code,
      domain: 'clinical',
      model: 'llama-3.1-8b-instruct',
      intervention: 0,
      time: 1_760_000_000,
      confidence: 0.7,
      expected: 0.41,
    })
    assert.equal((await advise('hello')).record?.domain, 'general')
    assert.equal(asked[1]?.domain, 'general')
  })

  test('is waited for no longer than the deadline', async () => {
    const { advise, asked, warnings } = advising(
      (_texts, { signal } = {}) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true })),
    )
    const advice = await advise('hello')
    assert.equal(advice.result, 'deadline')
    assert.equal(advice.record, undefined)
    assert.deepEqual([asked, warnings], [[], []])
  })

  test('fails open, whatever breaks, and says so in the log', async () => {
    const broken = advising(async () => {
      throw new EmbedderError('ERR_EMBEDDER_BUSY', 'too many')
    })
    assert.equal((await broken.advise('hello')).result, 'failed')
    const lost = advising(one, () => {
      throw new Error('out of range')
    })
    assert.equal((await lost.advise('hello')).result, 'failed')
    assert.equal(broken.warnings.length + lost.warnings.length, 2)
    const away = advising(async () => {
      throw new EmbedderError('ERR_EMBEDDER_UNAVAILABLE', 'another is being started')
    })
    assert.equal((await away.advise('hello')).result, 'failed')
    assert.equal(away.warnings.length, 0, 'a warning a request would bury the one that says why')
  })

  test('is not sought where there is nothing to embed, or where it is not wanted', async () => {
    const { adviser, advise, asked } = advising(async () => [new Float32Array(2)])
    const results = await Promise.all([
      advise(''),
      advise([{ type: 'image_url' }]),
      advise('a text in which the embedder knows no word'),
      advise('hello', { 'x-qis-opt-out': '1' }),
      adviser.advise(URL, {}, undefined, STAYS),
      adviser.advise(URL, {}, Buffer.from('{'), STAYS),
    ])
    assert.deepEqual(
      results.map(({ result }) => result),
      ['no_text', 'no_text', 'no_text', 'opted_out', 'too_large', 'no_text'],
    )
    assert.deepEqual(asked, [])
  })
})

test('QIS_EMBEDDER=transformers advises with a real ONNX model from a folder', { skip: missing(POTION) }, async () => {
  await using upstream = await startUpstream()
  await using sidecar = await startTestSidecar(upstream.url, {
    QIS_EMBEDDER: 'transformers',
    QIS_EMBEDDER_MODEL: POTION,
    QIS_SPACE: 'potion-base-2m',
    QIS_ADVICE_DEADLINE_MS: '10000',
  })
  const first = await chat(sidecar.data, 'What should I pay in income tax?')
  assert.equal(await first.text(), CHAT_BODY)
  const receipt = first.headers.get('x-qis-receipt')
  assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'down' })).status, 202)
  const confidence = async (question: string) =>
    Number((await chat(sidecar.data, question)).headers.get('x-qis-confidence') ?? Number.NaN)
  assert.ok((await confidence('How much income tax must I pay?')) < 0.5, 'other words, the same question')
  assert.ok(!((await confidence('Which bird sings at night?')) < 0.45), 'another question')
})
