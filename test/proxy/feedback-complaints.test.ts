/** What users of every feedback API complain of, one suite for each complaint. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { answering, ask, outcomes, refused, shown, taken } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'

/** A stream that tells its id at once and ends when it is told to. */
async function streaming(id: string) {
  const gate = Promise.withResolvers<void>()
  const upstream = await startUpstream({
    handler: async ({ request, response }) => {
      await request.body
      const event = (more: string) => `data: {"id":"${id}","model":"m","choices":[{"index":0,${more}}]}\n\n`
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(event('"delta":{"content":"x"}'))
      await gate.promise
      response.end(`${event('"delta":{},"finish_reason":"stop"')}data: [DONE]\n\n`)
    },
  })
  return { upstream, end: () => gate.resolve() }
}

async function firstChunk(response: Response) {
  const reader = response.body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  const rest = async () => {
    while (!(await reader?.read())?.done);
  }
  return { text: new TextDecoder().decode(value), rest }
}

suite('the id is unobtainable', () => {
  test('it is in the headers before the first token, in the answer, and in a receipt; each of them works', async () => {
    await using upstream = await answering(['chatcmpl-a', 'chatcmpl-b', 'chatcmpl-c'])
    await using sidecar = await startTestSidecar(upstream.url)
    const [first, second, third] = [await ask(sidecar), await ask(sidecar), await ask(sidecar)]
    await taken(await postFeedback(sidecar.data, { request_id: first.requestId, rating: 'up' }))
    await taken(await postFeedback(sidecar.data, { completion_id: second.completionId, rating: 'up' }))
    await taken(await postFeedback(sidecar.data, { receipt: third.receipt, rating: 'up' }))
    assert.equal((await outcomes(sidecar)).length, 3)
  })

  test('a browser may read it from another origin', async () => {
    await using upstream = await startUpstream({
      handler: async ({ request, response }) => {
        await request.body
        response
          .writeHead(200, { 'content-type': 'application/json', 'access-control-allow-origin': '*' })
          .end('{"id":"x","choices":[]}')
      },
    })
    await using sidecar = await startTestSidecar(upstream.url)
    const exposed = (await chat(sidecar.data, QUESTION)).headers.get('access-control-expose-headers') ?? ''
    for (const name of ['x-qis-request-id', 'x-qis-receipt']) assert.ok(exposed.includes(name), exposed)
  })
})

suite('the id is mangled', () => {
  for (const id of [
    'chatcmpl-9F/+=?&#',
    'ünï-cødé-✓',
    ' spaces in it ',
    '"quoted"\\',
    "x'; DROP TABLE feedback;--",
    'A'.repeat(256),
  ]) {
    test(`${JSON.stringify(id.slice(0, 30))} is found as it was sent, and no other spelling of it`, async () => {
      await using upstream = await answering([id])
      await using sidecar = await startTestSidecar(upstream.url)
      await ask(sidecar)
      const unlike = await postFeedback(sidecar.data, { completion_id: `${id.slice(0, -1)}_`, rating: 'up' })
      await refused(unlike, 404, 'unknown_id', 'completion_id')
      await taken(await postFeedback(sidecar.data, { completion_id: id, rating: 'up' }))
    })
  }
})

suite('feedback races its record', () => {
  test('what comes before the answer has ended is acknowledged, kept, and joined when it has', async () => {
    const { upstream: server, end } = await streaming('chatcmpl-early')
    await using upstream = server
    await using sidecar = await startTestSidecar(upstream.url)
    const response = await chat(sidecar.data, QUESTION)
    const { text, rest } = await firstChunk(response)
    assert.match(text, /chatcmpl-early/)
    const early = await taken(await postFeedback(sidecar.data, { completion_id: 'chatcmpl-early', rating: 'up' }))
    assert.equal(early.status, 'pending')
    assert.equal((await shown(sidecar, early.feedback_id)).state, 'pending')
    const changed = await taken(await postFeedback(sidecar.data, { completion_id: 'chatcmpl-early', rating: 'down' }))
    assert.deepEqual(changed, early, 'a mind changed meanwhile is no second feedback')
    assert.equal((await outcomes(sidecar)).length, 0)
    end()
    await rest()
    const [outcome] = await until('the feedback to be joined', async () => {
      const learnt = await outcomes(sidecar)
      return learnt.length > 0 ? learnt : undefined
    })
    assert.equal(outcome?.signal, 0)
    const joined = await until('the feedback to be kept', async () => {
      const feedback = await shown(sidecar, early.feedback_id)
      return feedback.state === 'kept' ? feedback : undefined
    })
    assert.equal(joined.request_id, response.headers.get('x-qis-request-id'))
    assert.deepEqual(
      joined.history.map(({ status }) => status),
      ['pending', 'pending', 'joined'],
    )
  })

  test('what several said before the answer has ended is all joined to it', async () => {
    const { upstream: server, end } = await streaming('chatcmpl-early')
    await using upstream = server
    await using sidecar = await startTestSidecar(upstream.url)
    const { rest } = await firstChunk(await chat(sidecar.data, QUESTION))
    const said: { feedback_id: string; status: string }[] = []
    for (const source of ['user', 'app']) {
      const saying = { completion_id: 'chatcmpl-early', rating: 'up', source }
      said.push(await taken(await postFeedback(sidecar.data, saying)))
    }
    assert.deepEqual(
      said.map(({ status }) => status),
      ['pending', 'pending'],
    )
    end()
    await rest()
    for (const { feedback_id: id } of said) {
      await until('the feedback to be kept', async () => (await shown(sidecar, id)).state === 'kept')
    }
  })

  test('what waits survives a restart', async () => {
    const { upstream: server, end } = await streaming('chatcmpl-slow')
    await using upstream = server
    await using first = await startTestSidecar(upstream.url)
    const { rest } = await firstChunk(await chat(first.data, QUESTION))
    const say = (completion_id: string) => postFeedback(first.data, { completion_id, rating: 'up' })
    const [waiting, other] = [await taken(await say('chatcmpl-slow')), await taken(await say('chatcmpl-none'))]
    end()
    await rest()
    await until('the join', async () => (await shown(first, waiting.feedback_id)).state === 'kept')
    await first.sidecar[Symbol.asyncDispose]()
    await using second = await startTestSidecar(upstream.url, { QIS_DATA: first.dataDir })
    assert.equal((await shown(second, other.feedback_id)).state, 'pending')
    assert.equal((await outcomes(second)).length, 1)
  })

  test('by request id and receipt it needs to wait for nothing', async () => {
    const { upstream: server, end } = await streaming('chatcmpl-1')
    await using upstream = server
    await using sidecar = await startTestSidecar(upstream.url)
    const response = await chat(sidecar.data, QUESTION)
    const say = (body: object) => postFeedback(sidecar.data, { ...body, rating: 'down' })
    assert.equal((await taken(await say({ request_id: response.headers.get('x-qis-request-id') }))).status, 'accepted')
    assert.equal((await taken(await say({ receipt: response.headers.get('x-qis-receipt') }))).status, 'duplicate')
    end()
    await response.text()
  })

  test('once nothing is under way, an id that nobody knows is refused', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    await ask(sidecar)
    await until('the answer to be known', async () => {
      const response = await postFeedback(sidecar.data, { completion_id: 'chatcmpl-1', comment: 'x' })
      return (await taken(response)).status !== 'pending'
    })
    await refused(
      await postFeedback(sidecar.data, { completion_id: 'nope', rating: 1 }),
      404,
      'unknown_id',
      'completion_id',
    )
  })
})

suite('a changed mind makes duplicates', () => {
  const mind = async (sidecar: TestSidecar, target: object, opinion: object) =>
    taken(await postFeedback(sidecar.data, { ...target, ...opinion }))

  test('one receipt sent 1,000 times counts once, and the last word stands', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { receipt } = await ask(sidecar)
    const ids = new Set<string>()
    for (let n = 0; n < 10; n++) {
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, at) => mind(sidecar, { receipt }, { rating: (n + at) % 2 ? 'up' : 'down' })),
      )
      for (const { feedback_id } of results) ids.add(feedback_id)
    }
    await mind(sidecar, { receipt }, { rating: 'up' })
    const [id = '', ...more] = ids
    assert.deepEqual(more, [])
    const learnt = await outcomes(sidecar)
    assert.equal(learnt.length, 1)
    assert.equal((await shown(sidecar, id)).verdict, 'up')
  })

  test('whoever takes a word back leaves the next one’s standing', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_EVALUATOR_TOKEN: 'judge' })
    const { requestId } = await ask(sidecar)
    const target = { request_id: requestId }
    const judged = { authorization: 'Bearer judge' }
    const now = async () => (await outcomes(sidecar))[0]
    await taken(await postFeedback(sidecar.data, { ...target, score: 0.25 }, judged))
    assert.partialDeepStrictEqual(await now(), { signal: 0.25, observer: 'e' })
    await mind(sidecar, target, { rating: 'up' })
    assert.partialDeepStrictEqual(await now(), { signal: 1, observer: 'h' })
    await mind(sidecar, target, { rating: null, source: 'app' })
    assert.partialDeepStrictEqual(
      await now(),
      { signal: 1, observer: 'h' },
      'a program cannot take back a person’s word',
    )
    await taken(await postFeedback(sidecar.data, { ...target, score: 0 }, judged))
    assert.partialDeepStrictEqual(await now(), { signal: 1, observer: 'h' })
    await mind(sidecar, target, { rating: null })
    assert.partialDeepStrictEqual(await now(), { signal: 0, observer: 'e', withdrawn: false })
    await taken(await postFeedback(sidecar.data, { ...target, rating: null }, judged))
    assert.partialDeepStrictEqual(await now(), { withdrawn: true })
  })

  test('named scores are one feedback, each with its last value', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { completionId } = await ask(sidecar)
    const score = (key: string, value: number) => mind(sidecar, { run_id: completionId }, { key, score: value })
    const { feedback_id } = await score('correctness', 0)
    await score('style', 0.5)
    assert.deepEqual(await score('correctness', 1), { feedback_id, status: 'updated' })
    assert.equal((await outcomes(sidecar))[0]?.signal, 0.75)
    for (let n = 0; n < 14; n++) await score(`aspect ${n}`, 1)
    await refused(
      await postFeedback(sidecar.data, { run_id: completionId, key: 'one too many', score: 1 }),
      422,
      'invalid_field',
      'name',
    )
  })
})

suite('bad values are accepted and break later', () => {
  test('a bad one in a batch is named, kept out, and harms no other', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { requestId, receipt } = await ask(sidecar)
    const post = async (batch: unknown) => {
      const response = await postFeedback(sidecar.data, batch)
      return { status: response.status, body: (await response.json()) as { results: unknown[] } }
    }
    const items = [
      { request_id: requestId, rating: 'down' },
      { request_id: requestId, rating: 'meh' },
      { request_id: 'qis-0', rating: 'up' },
      { receipt: `${receipt}A`, rating: 'up' },
      'up',
      { request_id: requestId, rating: 'up', source: 'evaluator' },
      { receipt, rating: 'up' },
    ]
    const { status, body } = await post(items)
    assert.equal(status, 207)
    assert.partialDeepStrictEqual(body.results, [
      { status: 'accepted' },
      { status: 'error', error: { code: 'invalid_field', field: '[1].rating' } },
      { status: 'error', error: { code: 'unknown_id', field: '[2].request_id' } },
      { status: 'error', error: { code: 'receipt_invalid', field: '[3].receipt' } },
      { status: 'error', error: { code: 'invalid_field', field: '[4]' } },
      { status: 'error', error: { code: 'evaluator_refused', field: '[5].source' } },
      { status: 'updated' },
    ])
    const [outcome, ...more] = await outcomes(sidecar)
    assert.equal(outcome?.signal, 1, 'those of one answer count in their order')
    assert.deepEqual(more, [])
    const named = await post({ batch: items })
    assert.partialDeepStrictEqual(named.body.results[1], { error: { field: 'batch[1].rating' } })
    await refused(
      await postFeedback(
        sidecar.data,
        Array.from({ length: 1_001 }, () => items[0]),
      ),
      422,
      'invalid_field',
      '',
    )
  })
})

suite('nothing visible happens', () => {
  test('the next client is told, the feedback can be looked at, and the metrics count it', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const first = await ask(sidecar)
    assert.equal(first.confidence, null)
    const { feedback_id } = await taken(await postFeedback(sidecar.data, { receipt: first.receipt, rating: 'down' }))
    assert.ok(Number((await ask(sidecar)).confidence) < 0.5)
    assert.partialDeepStrictEqual(await shown(sidecar, feedback_id), { state: 'kept', verdict: 'down', signal: 0 })
    const metrics = await (await fetch(`${sidecar.admin}/metrics`)).text()
    assert.match(metrics, /qis_feedback_total\{rating="down",status="accepted",source="user"\} 1/)
  })
})
