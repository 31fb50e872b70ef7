import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { answering, ask, outcomes, refused, taken } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar } from '../support/sidecar.ts'

const EVALUATOR = { QIS_EVALUATOR_TOKEN: 'judge' }
const AS_EVALUATOR = { authorization: 'Bearer judge' }

suite('feedback names an answer', () => {
  test('by request id, by receipt and by completion id, and each changes what the next client is told', async () => {
    await using upstream = await answering(['chatcmpl-a', 'chatcmpl-b', 'chatcmpl-c'])
    await using sidecar = await startTestSidecar(upstream.url)
    const first = await ask(sidecar)
    assert.equal(first.confidence, null, 'no evidence, no confidence')
    await taken(await postFeedback(sidecar.data, { request_id: first.requestId, rating: 'down' }))
    const second = await ask(sidecar)
    assert.ok(Number(second.confidence) < 0.5)
    await taken(await postFeedback(sidecar.data, { receipt: second.receipt, rating: 'down' }))
    const third = await ask(sidecar)
    assert.ok(Number(third.confidence) <= Number(second.confidence))
    await taken(await postFeedback(sidecar.data, { completion_id: third.completionId, rating: 'down' }))
    const kept = await outcomes(sidecar)
    assert.equal(kept.length, 3)
    for (const outcome of kept) assert.equal(outcome.signal, 0)
  })

  test('by the alias /v1/feedback', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    const response = await fetch(`${sidecar.data}/v1/feedback`, {
      method: 'POST',
      body: JSON.stringify({ request_id: requestId, rating: 'up' }),
    })
    assert.equal((await taken(response)).status, 'accepted')
  })

  test('a receipt is enough after a restart that forgot the answer', async () => {
    await using upstream = await answering()
    await using first = await startTestSidecar(upstream.url)
    const { receipt } = await ask(first)
    await first.sidecar[Symbol.asyncDispose]()
    using database = new DatabaseSync(join(first.dataDir, 'qis.db'))
    database.exec('DELETE FROM answers')
    await using second = await startTestSidecar(upstream.url, { QIS_DATA: first.dataDir })
    assert.equal((await taken(await postFeedback(second.data, { receipt, rating: 'up' }))).status, 'accepted')
  })

  test('request ids and completion ids survive a restart', async () => {
    await using upstream = await answering()
    await using first = await startTestSidecar(upstream.url)
    const { requestId, completionId } = await ask(first)
    await first.sidecar[Symbol.asyncDispose]()
    await using second = await startTestSidecar(upstream.url, { QIS_DATA: first.dataDir })
    await taken(await postFeedback(second.data, { completion_id: completionId, rating: 'up' }))
    const result = await taken(await postFeedback(second.data, { request_id: requestId, rating: 'up' }))
    assert.equal(result.status, 'duplicate')
  })

  test('case 38: a completion id that two answers share is ambiguous', async () => {
    await using upstream = await answering(['chatcmpl-7', 'chatcmpl-7'])
    await using sidecar = await startTestSidecar(upstream.url)
    await ask(sidecar)
    await ask(sidecar)
    await refused(
      await postFeedback(sidecar.data, { completion_id: 'chatcmpl-7', rating: 'up' }),
      409,
      'ambiguous_id',
      'completion_id',
    )
  })
})

suite('what is said', () => {
  const said: [string, object, object][] = [
    ['up', { rating: 'up' }, { signal: 1, observer: 'h' }],
    ['down', { rating: 'down' }, { signal: 0 }],
    ['a like', { rating: 'like' }, { signal: 1 }],
    ['thumbsUp', { rating: 'thumbsUp' }, { signal: 1 }],
    ['true', { rating: true }, { signal: 1 }],
    ['0', { rating: 0 }, { signal: 0 }],
    ['a score', { score: 0.25 }, { signal: 0.25 }],
    ['a correction alone', { correction: { type: 'reasoning', text: 'no' } }, { signal: 0, correction: 'reasoning' }],
    ['a correction as a string', { correction: 'it is 1200 mg' }, { signal: 0, correction: 'factual' }],
    ["an evaluator's word", { rating: 'up', source: 'evaluator' }, { signal: 1, observer: 'e' }],
    ["a program's guess", { score: 0.5, source: 'app' }, { signal: 0.5, observer: 'i' }],
  ]
  for (const [name, body, expected] of said) {
    test(`${name} becomes an outcome, with the confidence the model itself had`, async () => {
      await using upstream = await answering()
      await using sidecar = await startTestSidecar(upstream.url, EVALUATOR)
      const { requestId } = await ask(sidecar)
      const headers = 'source' in body && body.source === 'evaluator' ? AS_EVALUATOR : {}
      await taken(await postFeedback(sidecar.data, { request_id: requestId, ...body }, headers))
      const [outcome] = await outcomes(sidecar)
      assert.partialDeepStrictEqual(outcome, expected)
      assert.ok(Math.abs(Number(outcome?.confidence) - 0.5) < 1e-9, 'mean token probability of the logprobs')
      assert.ok(!JSON.stringify(outcome).includes('1200'), 'the text of a correction is no part of the outcome')
    })
  }

  test('saying the same twice is a duplicate; changing one’s mind updates; null revokes; then anew', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    const say = async (opinion: object) =>
      taken(await postFeedback(sidecar.data, { request_id: requestId, ...opinion }))
    const first = await say({ rating: 'up' })
    assert.equal(first.status, 'accepted')
    assert.deepEqual(await say({ rating: 'up' }), { ...first, status: 'duplicate' })
    assert.deepEqual(await say({ rating: 'down' }), { ...first, status: 'updated' })
    assert.deepEqual(await say({ comment: 'too vague' }), { ...first, status: 'updated' })
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { signal: 0, revision: 1, withdrawn: false })
    assert.deepEqual(await say({ rating: null }), { ...first, status: 'revoked' })
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { revision: 2, withdrawn: true })
    assert.deepEqual(await say({ rating: 'up' }), { ...first, status: 'updated' })
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { signal: 1, revision: 3, withdrawn: false })
  })

  test('an idempotency key makes a retry harmless, and is no one else’s', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    const post = (rating: string) =>
      postFeedback(sidecar.data, { request_id: requestId, rating }, { 'idempotency-key': 'k1' })
    const first = await taken(await post('up'))
    assert.equal(first.status, 'accepted')
    await taken(await postFeedback(sidecar.data, { request_id: requestId, rating: 'down' }))
    assert.deepEqual(await taken(await post('up')), first, 'the same answer, and what was said since stands')
    assert.equal((await outcomes(sidecar))[0]?.signal, 0)
    await refused(await post('down'), 422, 'idempotency_conflict', 'idempotency-key')
    const other = await postFeedback(
      sidecar.data,
      { request_id: requestId, rating: 'down' },
      { 'idempotency-key': 'k1', authorization: 'Bearer somebody-else' },
    )
    assert.equal((await taken(other)).status, 'duplicate')
  })

  test('twenty thumbs at once for one answer are one outcome', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    const results = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        taken(await postFeedback(sidecar.data, { request_id: requestId, rating: index % 2 ? 'up' : 'down' })),
      ),
    )
    assert.equal(new Set(results.map(({ feedback_id }) => feedback_id)).size, 1)
    assert.equal(results.filter(({ status }) => status === 'accepted').length, 1)
    assert.equal((await outcomes(sidecar)).length, 1)
  })
})

suite('bad input is told what is wrong with it', () => {
  const bad: [string, unknown, number, string, string | null][] = [
    ['no JSON', '{"rating":', 400, 'invalid_json', null],
    ['nothing', '', 422, 'invalid_field', ''],
    ['a text', '"up"', 422, 'invalid_field', ''],
    ['an empty batch', [], 422, 'invalid_field', ''],
    ['no target', { rating: 'up' }, 422, 'invalid_field', 'request_id'],
    ['two targets', { request_id: 'a', receipt: 'b', rating: 'up' }, 422, 'invalid_field', 'receipt, request_id'],
    ['nothing said', { request_id: 'a' }, 422, 'invalid_field', 'rating'],
    ['an unknown rating', { request_id: 'KNOWN', rating: 'meh' }, 422, 'invalid_field', 'rating'],
    ['a score above 1', { request_id: 'a', score: 1.5 }, 422, 'invalid_field', 'score'],
    ['a score as text', { request_id: 'a', score: '1' }, 422, 'invalid_field', 'score'],
    [
      'an unknown kind of correction',
      { request_id: 'a', correction: { type: 'spelling' } },
      422,
      'invalid_field',
      'correction.type',
    ],
    ['an unknown source', { request_id: 'a', rating: 'up', source: 'boss' }, 422, 'invalid_field', 'source'],
    ['an unknown field', { request_id: 'a', rating: 'up', mood: 1 }, 422, 'invalid_field', 'mood'],
    ['a comment that is too long', { request_id: 'a', comment: 'x'.repeat(20_001) }, 422, 'invalid_field', 'comment'],
    ['an unknown request id', { request_id: 'qis-0', rating: 'up' }, 404, 'unknown_id', 'request_id'],
    ['an unknown completion id', { completion_id: 'nope', rating: 'up' }, 404, 'unknown_id', 'completion_id'],
    ['a forged receipt', { receipt: 'A'.repeat(200), rating: 'up' }, 422, 'receipt_invalid', 'receipt'],
    ['a body that is too large', { request_id: 'a', comment: 'x'.repeat(1_100_000) }, 413, 'body_too_large', null],
  ]
  test('every one of them, and nothing is kept', async t => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    for (const [name, body, status, code, field] of bad) {
      await t.test(name, async () => {
        const sent = typeof body === 'string' ? body : JSON.stringify(body).replace('KNOWN', requestId)
        await refused(await postFeedback(sidecar.data, sent), status, code, field)
      })
    }
    assert.equal((await outcomes(sidecar)).length, 0)
  })

  test('a path under /qis that does not exist is ours to refuse', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    await refused(await fetch(`${sidecar.data}/qis/feedbak`, { method: 'POST', body: '{}' }), 404, 'not_found', null)
    assert.equal(upstream.requests.length, 0)
  })
})

suite('storage in trouble', () => {
  test('a locked database fails feedback with a code, and no proxied request', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { receipt } = await ask(sidecar)
    using locker = new DatabaseSync(join(sidecar.dataDir, 'qis.db'))
    locker.exec('BEGIN EXCLUSIVE')
    const [answers, feedback] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, () => ask(sidecar))),
      postFeedback(sidecar.data, { receipt, rating: 'down' }),
    ])
    assert.equal(answers.length, 20)
    await refused(feedback, 503, 'storage_unavailable', null)
    locker.exec('COMMIT')
    await until('the answers to be indexed after all', async () => {
      const id = answers.at(-1)?.requestId
      return (await postFeedback(sidecar.data, { request_id: id, rating: 'down' })).status === 202
    })
  })
})
