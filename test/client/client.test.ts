import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'
import { createClient, QisError, readInsight } from '../../client/index.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { chat, startTestSidecar } from '../support/sidecar.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'

async function run(settings: Record<string, string> = {}) {
  const parts = new AsyncDisposableStack()
  const origin = await parts.use(createPracticeModel()).listen()
  const { data } = parts.use(await startTestSidecar(origin, settings))
  return { data, client: createClient(data), [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

suite('the helper for applications', () => {
  test('reads what an answer says of itself, before and after feedback', async () => {
    await using site = await run()
    const before = readInsight((await chat(site.data, QUESTION)).headers)
    assert.ok(before)
    assert.deepEqual(before, { requestId: before.requestId, receipt: before.receipt, evidence: 'none', version: '1' })

    const { status } = await site.client.feedback(before, { rating: 'down', correction: { type: 'factual' } })
    assert.equal(status, 'accepted')
    const after = readInsight((await chat(site.data, QUESTION)).headers)
    assert.ok(after?.confidence !== undefined && after.confidence < 0.5)
    assert.ok(after.adjustment === 0 && after.evidence !== 'none')
    assert.equal(after.debug, undefined)
  })

  test('reads the debug headers when they were asked for', async () => {
    await using site = await run()
    const headers = { 'x-qis-debug': '1', 'x-qis-domain': 'clinical' }
    const debug = readInsight((await chat(site.data, QUESTION, headers)).headers)?.debug
    assert.match(debug?.fingerprint ?? '', /^[0-9a-f]{16}$/)
    assert.equal(debug?.cell, debug?.fingerprint.slice(0, 2))
    assert.deepEqual([debug?.domain, debug?.domainSource, debug?.packets, debug?.peers], ['clinical', 'client', 0, 0])
  })

  test('reads headers however a client library gives them, and none where no sidecar was', () => {
    const plain = { 'x-qis-request-id': 'qis-1', 'x-qis-evidence': ['low'], 'x-qis-confidence': '0.43' }
    const expected = { requestId: 'qis-1', evidence: 'low', confidence: 0.43, version: '' }
    assert.deepEqual(readInsight(plain), expected)
    assert.deepEqual(
      readInsight(new Map(Object.entries(plain).map(([k, v]) => [k, String(v)])) as unknown as Headers),
      expected,
    )
    assert.equal(readInsight(new Headers({ 'content-type': 'text/plain' })), undefined)
    assert.equal(readInsight({ 'x-qis-request-id': 'qis-1', 'x-qis-confidence': 'much' })?.confidence, undefined)
  })

  test('gives feedback by request id and by completion id, changes it, and takes it back', async () => {
    await using site = await run()
    const answer = await chat(site.data, QUESTION)
    const { id } = (await answer.json()) as { id: string }
    const requestId = answer.headers.get('x-qis-request-id') ?? ''
    const { feedback } = createClient(`${site.data}/v1/`)
    const first = await feedback({ completionId: id }, { rating: 'up', comment: 'good', tags: ['a'], source: 'app' })
    assert.equal(first.status, 'accepted')
    assert.equal((await feedback({ requestId }, { score: 0.2, source: 'app' })).status, 'updated')
    assert.equal((await feedback({ requestId }, { rating: null, source: 'app' })).status, 'revoked')
  })

  test('asks what is known of a question, for several models', async () => {
    await using site = await run()
    const models = ['m', 'other']
    const insight = readInsight((await chat(site.data, QUESTION)).headers) ?? {}
    await site.client.feedback(insight, { rating: 'down' })
    const advice = await site.client.advise({ text: QUESTION, models, domain: 'general' })
    assert.match(advice.fingerprint, /^[0-9a-f]{16}$/)
    assert.deepEqual([advice.domain, advice.models.map(({ model }) => model)], ['general', models])
    const [known, other] = advice.models
    assert.ok(known?.confidence != null && known.confidence < 0.5 && known.evidence !== 'none')
    assert.ok(other && other.expected > known.expected)
    await assert.rejects(site.client.advise({ text: QUESTION, models: [] }), { code: 'invalid_field' })
  })

  test('reads which model was chosen and whether the prompt was refined', () => {
    const headers = { 'x-qis-request-id': 'qis-1', 'x-qis-model': 'llama3', 'x-qis-refined': 'factual' }
    const { model, refined } = readInsight(headers) ?? {}
    assert.deepEqual([model, refined], ['llama3', 'factual'])
  })

  test('passes an idempotency key on', async () => {
    await using site = await run()
    const insight = readInsight((await chat(site.data, QUESTION)).headers) ?? {}
    const again = () => site.client.feedback(insight, { rating: 'up' }, { idempotencyKey: 'click-1' })
    assert.deepEqual(await again(), await again())
    const other = site.client.feedback(insight, { rating: 'down' }, { idempotencyKey: 'click-1' })
    await assert.rejects(other, { code: 'idempotency_conflict', status: 422 })
  })

  test('sends its token', async () => {
    await using site = await run({ QIS_EVALUATOR_TOKEN: 'secret' })
    const insight = readInsight((await chat(site.data, QUESTION)).headers) ?? {}
    const judge = (token: string) =>
      createClient(site.data, { token }).feedback(insight, { score: 1, source: 'evaluator' })
    await assert.rejects(judge('wrong'), { code: 'evaluator_refused', status: 403 })
    assert.equal((await judge('secret')).status, 'accepted')
  })

  test('says with a code and a field what was wrong', async () => {
    await using site = await run()
    const error = await site.client.feedback({ requestId: 'qis-x' }, { score: 7 }).catch((error: unknown) => error)
    assert.ok(error instanceof QisError)
    assert.deepEqual([error.code, error.status, error.field], ['invalid_field', 422, 'score'])
    await assert.rejects(site.client.feedback({ requestId: 'qis-x' }, { rating: 'up' }), { code: 'unknown_id' })
  })
})

suite('the helper, of a server that is no sidecar', () => {
  async function strange(said?: { status: number; text: string }) {
    const server = createServer((_request, response) => {
      if (said) response.writeHead(said.status).end(said.text)
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    return {
      url: `http://127.0.0.1:${port}`,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections()
        server.close()
      },
    }
  }

  test('tells an error that is not ours by its status', async () => {
    await using server = await strange({ status: 502, text: '<html>bad gateway</html>' })
    await assert.rejects(createClient(server.url).advise({ text: 'x' }), {
      code: 'unknown',
      status: 502,
      message: /gateway/,
    })
  })

  test('waits no longer than it was told to, and not after its caller has left', async () => {
    await using server = await strange()
    await assert.rejects(createClient(server.url, { timeoutMs: 20 }).advise({ text: 'x' }), { name: 'TimeoutError' })
    const signal = AbortSignal.abort(new Error('left'))
    await assert.rejects(createClient(server.url).advise({ text: 'x' }, { signal }), /left/)
  })
})
