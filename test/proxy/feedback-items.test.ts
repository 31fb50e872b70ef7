import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { answering, ask, outcomes, refused, type ShownFeedback, shown, taken } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

const send = (method: string, url: string, body?: object, headers: Record<string, string> = {}) =>
  fetch(url, { method, headers, ...(body && { body: JSON.stringify(body) }) })

/** A sidecar whose data listener demands a token, as one bound beyond this machine does. */
async function guarded(upstream: string) {
  return startTestSidecar(upstream, {
    QIS_DATA_LISTEN: '0.0.0.0:0',
    QIS_ADMIN_TOKEN: 'secret',
    QIS_EVALUATOR_TOKEN: 'judge',
  })
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

suite('one feedback by its id', () => {
  test('is shown, changed and taken back on the admin listener, and its packet with it', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_KEEP_CORRECTIONS: 'on' })
    const { requestId } = await ask(sidecar)
    const { feedback_id } = await taken(
      await postFeedback(sidecar.data, { request_id: requestId, rating: 'up', comment: 'fine', tags: ['a'] }),
    )
    const url = `${sidecar.admin}/qis/feedback/${feedback_id}`
    const response = await send('PUT', url, { score: 0.25, correction: 'it is 1200 mg' })
    assert.equal(response.status, 200)
    const changed = (await response.json()) as ShownFeedback
    assert.partialDeepStrictEqual(changed, { score: 0.25, correction: { type: 'factual', text: 'it is 1200 mg' } })
    assert.equal(changed.comment, undefined, 'another saying, not one more')
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { signal: 0.25, revision: 1, correction: 'factual' })

    assert.equal(((await (await send('DELETE', url)).json()) as { status: string }).status, 'revoked')
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { withdrawn: true, revision: 2 })
    const gone = await shown(sidecar, feedback_id)
    assert.deepEqual(
      gone.history.map(({ status }) => status),
      ['accepted', 'updated', 'revoked'],
    )
    assert.ok(!JSON.stringify(gone).includes('1200'), 'its texts are forgotten')
    assert.equal(((await (await send('DELETE', url)).json()) as { status: string }).status, 'duplicate')
    await refused(await send('PUT', `${url}0`, { rating: 'up' }), 404, 'unknown_id', 'id')
    await refused(await send('PUT', url, { rating: 'sideways' }), 422, 'invalid_field', 'rating')
    await refused(await send('PUT', url, { rating: 'up', request_id: requestId }), 422, 'invalid_field', 'request_id')
    await refused(await send('PUT', url, { rating: 'up', source: 'app' }), 422, 'invalid_field', 'source')
    await refused(await send('PUT', url), 422, 'invalid_field', '')
  })

  test('on the data listener it takes the token, or the receipt of its answer, which is good for nothing else', async () => {
    await using upstream = await answering()
    await using sidecar = await guarded(upstream.url)
    const [mine, other] = [await ask(sidecar), await ask(sidecar)]
    const { feedback_id } = await taken(await postFeedback(sidecar.data, { receipt: mine.receipt, rating: 'up' }))
    const judged = await taken(
      await postFeedback(sidecar.data, { request_id: mine.requestId, score: 0.5 }, bearer('judge')),
    )
    const url = `${sidecar.data}/qis/feedback/${feedback_id}`
    const holding = (receipt: string) => ({ 'x-qis-receipt': receipt })
    await refused(await send('GET', url), 401, 'unauthorized', null)
    await refused(await send('GET', url, undefined, bearer('judge')), 401, 'unauthorized', null)
    await refused(await send('GET', url, undefined, holding(other.receipt)), 404, 'unknown_id', 'id')
    await refused(await send('GET', url, undefined, holding(`${mine.receipt}x`)), 422, 'receipt_invalid', 'receipt')
    await refused(await send('DELETE', url, undefined, holding(other.receipt)), 404, 'unknown_id', 'id')
    const notMine = `${sidecar.data}/qis/feedback/${judged.feedback_id}`
    await refused(await send('DELETE', notMine, undefined, holding(mine.receipt)), 404, 'unknown_id', 'id')
    assert.equal((await send('GET', url, undefined, bearer('secret'))).status, 200)
    assert.equal((await send('PUT', url, { rating: 'down' }, holding(mine.receipt))).status, 200)
    assert.equal((await outcomes(sidecar))[0]?.signal, 0)
    assert.equal((await send('DELETE', url, undefined, holding(mine.receipt))).status, 200)
    assert.partialDeepStrictEqual((await outcomes(sidecar))[0], { signal: 0.5, observer: 'e' })
    await refused(await send('GET', `${sidecar.data}/qis/feedback`), 405, 'method_not_allowed', null)
  })
})

suite('who says it', () => {
  test('an evaluator is one by its token, and by nothing else', async () => {
    await using upstream = await answering()
    await using sidecar = await guarded(upstream.url)
    const { requestId, receipt } = await ask(sidecar)
    const post = (body: object, token?: string) => postFeedback(sidecar.data, body, token ? bearer(token) : {})
    const target = { request_id: requestId }
    await refused(await post({ ...target, rating: 1 }), 401, 'unauthorized', null)
    await refused(await post({ ...target, rating: 1 }, 'guess'), 401, 'unauthorized', null)
    await refused(await post({ receipt, rating: 1, source: 'evaluator' }), 403, 'evaluator_refused', 'source')
    await refused(
      await post({ ...target, rating: 1, source: 'evaluator' }, 'secret'),
      403,
      'evaluator_refused',
      'source',
    )
    await refused(await post({ ...target, rating: 1, source: 'user' }, 'judge'), 403, 'source_refused', 'source')
    const source = async (response: Response) => {
      const { feedback_id } = await taken(response)
      const found = await send('GET', `${sidecar.data}/qis/feedback/${feedback_id}`, undefined, bearer('secret'))
      return ((await found.json()) as ShownFeedback).source
    }
    assert.equal(await source(await post({ ...target, rating: 1 }, 'judge')), 'evaluator')
    assert.equal(await source(await post({ ...target, rating: 1 }, 'secret')), 'user')
    assert.equal(await source(await post({ receipt, rating: 1 })), 'user')
    assert.equal(await source(await post({ receipt, score: 0.9, source: 'app' }, 'secret')), 'app')
    await refused(await post({ receipt, score: 0.9, source: 'app' }), 403, 'source_refused', 'source')
  })

  test('where no token is set, nobody is an evaluator', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId } = await ask(sidecar)
    const response = await postFeedback(sidecar.data, { request_id: requestId, rating: 1, source: 'evaluator' })
    await refused(response, 403, 'evaluator_refused', 'source')
  })
})

suite('feedback from a browser', () => {
  test('comes from the pages that the operator names, with a receipt, and from no others', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_FEEDBACK_ORIGINS: 'https://chat.example' })
    const { receipt } = await ask(sidecar)
    const page = (origin: string) => ({ origin, 'content-type': 'text/plain' })
    const post = (origin: string) => postFeedback(sidecar.data, { receipt, rating: 'up' }, page(origin))
    for (const origin of ['https://evil.example', 'null', 'https://chat.example.evil', 'http://chat.example']) {
      await refused(await post(origin), 403, 'origin_refused', null)
    }
    assert.equal((await outcomes(sidecar)).length, 0)
    const response = await post('https://chat.example')
    assert.equal(response.headers.get('access-control-allow-origin'), 'https://chat.example')
    await taken(response)
    await taken(await post(sidecar.data))
    for (const path of ['/qis/feedback', '/qis/feedback/fb-1', '/v1/feedback']) {
      const preflight = (origin: string) =>
        send('OPTIONS', sidecar.data + path, undefined, { origin, 'access-control-request-method': 'POST' })
      const asked = await preflight('https://chat.example')
      assert.equal(asked.status, 204)
      assert.match(asked.headers.get('access-control-allow-headers') ?? '', /x-qis-receipt/)
      await refused(await preflight('https://evil.example'), 403, 'origin_refused', null)
    }
    assert.equal(upstream.requests.length, 1, 'the upstream was asked for the answer alone')
  })
})

suite('a completion id that is not unique', () => {
  test('means the answer that the same caller asked for, and is ambiguous when it asked for both', async () => {
    await using upstream = await answering(['chatcmpl-7', 'chatcmpl-7', 'chatcmpl-7'])
    await using sidecar = await startTestSidecar(upstream.url)
    const [ann, ben] = [bearer('ann'), bearer('ben')]
    const asked = await ask(sidecar, 'What is the capital of Australia?', ann)
    await ask(sidecar, 'How do I boil an egg?', ben)
    const say = (headers: Record<string, string>) =>
      postFeedback(sidecar.data, { completion_id: 'chatcmpl-7', rating: 'up' }, headers)
    await refused(await say({}), 409, 'ambiguous_id', 'completion_id')
    const { feedback_id } = await taken(await say(ann))
    assert.equal((await shown(sidecar, feedback_id)).request_id, asked.requestId)
    await ask(sidecar, 'Who wrote Hamlet?', ann)
    await refused(await say(ann), 409, 'ambiguous_id', 'completion_id')
    await taken(await say(ben))
  })

  test('means the fresh one when the others are long gone', async () => {
    await using upstream = await answering(['chatcmpl-7', 'chatcmpl-7'])
    await using first = await startTestSidecar(upstream.url)
    await ask(first)
    await first.sidecar[Symbol.asyncDispose]()
    using database = new DatabaseSync(join(first.dataDir, 'qis.db'))
    const age = (seconds: number) =>
      database.exec(
        `UPDATE answers SET time = time - ${seconds}, record = json_set(record, '$.time', time - ${seconds})`,
      )
    const say = ({ data }: TestSidecar) => postFeedback(data, { completion_id: 'chatcmpl-7', rating: 'up' })
    age(3 * 3600)
    await using second = await startTestSidecar(upstream.url, { QIS_DATA: first.dataDir })
    const fresh = await ask(second, 'Who wrote Hamlet?', bearer('ann'))
    await refused(await say(second), 409, 'ambiguous_id', 'completion_id')
    await until(
      'the answer to be on disk',
      () => Number(database.prepare('SELECT count(*) AS n FROM answers').get()?.n) === 2,
    )
    database.exec(
      `UPDATE answers SET time = time - 90000, record = json_set(record, '$.time', time - 90000) WHERE request_id <> '${fresh.requestId}'`,
    )
    assert.equal((await shown(second, (await taken(await say(second))).feedback_id)).request_id, fresh.requestId)
  })
})

suite('texts and lifetimes', () => {
  test('a new key above the old one seals, and receipts under both are taken', async () => {
    await using upstream = await answering()
    await using first = await startTestSidecar(upstream.url)
    const old = await ask(first)
    await first.sidecar[Symbol.asyncDispose]()
    const file = join(first.dataDir, 'receipt.key')
    const [newKey, oldKey] = [randomBytes(32).toString('base64'), await readFile(file, 'utf8')]
    const restarted = async (keys: string) => {
      await writeFile(file, keys)
      return startTestSidecar(upstream.url, { QIS_DATA: first.dataDir })
    }
    const rate = ({ data }: TestSidecar, { receipt }: { receipt: string }) =>
      postFeedback(data, { receipt, rating: 'up' })
    const young = await (async () => {
      await using second = await restarted(`${newKey}\n${oldKey}`)
      await taken(await rate(second, old))
      const asked = await ask(second)
      await taken(await rate(second, asked))
      return asked
    })()
    await using third = await restarted(newKey)
    await taken(await rate(third, young))
    await refused(await rate(third, old), 422, 'receipt_invalid', 'receipt')
  })

  test('the text of a correction is kept only where the operator says so', async () => {
    for (const [keep, text] of [
      ['off', undefined],
      ['on', 'wrong: it is 1200 mg'],
    ] as const) {
      await using upstream = await answering()
      await using sidecar = await startTestSidecar(upstream.url, { QIS_KEEP_CORRECTIONS: keep })
      const { requestId } = await ask(sidecar)
      const body = { request_id: requestId, correction: 'wrong: it is 1200 mg' }
      const { feedback_id } = await taken(await postFeedback(sidecar.data, body))
      assert.deepEqual((await shown(sidecar, feedback_id)).correction, {
        type: 'factual',
        classified: true,
        chars: 20,
        ...(text && { text }),
      })
      assert.equal((await taken(await postFeedback(sidecar.data, body))).status, 'duplicate')
    }
  })

  test('receipts and ids are good for as long as was set', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_RECEIPT_LIFETIME_S: '1' })
    const { receipt } = await ask(sidecar)
    await taken(await postFeedback(sidecar.data, { receipt, rating: 'up' }))
    await until(
      'the receipt to expire',
      async () => (await postFeedback(sidecar.data, { receipt, rating: 'up' })).status === 404,
    )
    await refused(await postFeedback(sidecar.data, { receipt, rating: 'up' }), 404, 'receipt_expired', 'receipt')
  })
})

suite('lists of feedback', () => {
  test('are filtered, in pages, newest first, and each is told what is wrong with its question', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const ids: string[] = []
    for (const [domain, rating] of [
      ['clinical', 'up'],
      ['clinical.oncology', 'down'],
      ['clinicalx', 'up'],
      ['law', 'down'],
      ['law', 'up'],
    ]) {
      const { requestId } = await ask(sidecar, 'What is the capital of Australia?', { 'x-qis-domain': domain ?? '' })
      ids.push((await taken(await postFeedback(sidecar.data, { request_id: requestId, rating }))).feedback_id)
    }
    const list = async (query: string) => {
      const response = await fetch(`${sidecar.admin}/qis/feedback?${query}`)
      assert.equal(response.status, 200, await response.clone().text())
      return (await response.json()) as { feedback: ShownFeedback[]; next_cursor: string | null }
    }
    const found = async (query: string) =>
      (await list(query)).feedback.map(({ feedback_id }) => ids.indexOf(feedback_id)).sort()
    assert.deepEqual(await found(''), [0, 1, 2, 3, 4])
    assert.deepEqual(await found('domain=clinical'), [0, 1])
    assert.deepEqual(await found('domain=law&rating=down'), [3])
    assert.deepEqual(await found('rating=up'), [0, 2, 4])
    assert.deepEqual(await found('model=m&source=user&state=kept'), [0, 1, 2, 3, 4])
    assert.deepEqual(await found('source=evaluator'), [])
    assert.deepEqual(await found('since=2000-01-01T00:00:00Z&until=2001-01-01'), [])
    assert.deepEqual(await found(`since=${Math.floor(Date.now() / 1000) - 60}`), [0, 1, 2, 3, 4])
    const seen: number[] = []
    let cursor: string | null = ''
    for (let pages = 0; cursor !== null && pages < 10; pages++) {
      const page: Awaited<ReturnType<typeof list>> = await list(`limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...page.feedback.map(({ feedback_id }) => ids.indexOf(feedback_id)))
      cursor = page.next_cursor
    }
    assert.deepEqual(seen.sort(), [0, 1, 2, 3, 4], 'each once')
    for (const [query, field] of [
      ['limit=0', 'limit'],
      ['limit=501', 'limit'],
      ['rating=meh', 'rating'],
      ['since=soon', 'since'],
      ['until=-1', 'until'],
      ['cursor=x', 'cursor'],
      ['colour=red', 'colour'],
      ['model=', 'model'],
      ['model=a&model=b', 'model'],
    ]) {
      await refused(await fetch(`${sidecar.admin}/qis/feedback?${query}`), 422, 'invalid_field', field ?? null)
    }
  })
})
