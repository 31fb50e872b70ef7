import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { AnswerRecord } from '../../proxy/answer-index.ts'
import { createAskedAgain } from '../../proxy/implicit/asked-again.ts'
import { asksForJson } from '../../proxy/implicit/asks-for-json.ts'
import { createImplicit } from '../../proxy/implicit/implicit.ts'
import { type ImplicitRule, implicitRules } from '../../proxy/implicit/rules.ts'
import { JSON_TYPE, SSE_TYPE } from '../support/answers.ts'
import { outcomes, type ShownFeedback, taken } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

interface Case {
  name: string
  rule: string
  signal: number
  type: string
  text: string
  request?: object
}

const whole = (message: object, finish = 'stop') =>
  JSON.stringify({ id: 'chatcmpl-1', model: 'm', choices: [{ index: 0, message, finish_reason: finish }] })
const events = (...data: object[]) =>
  [...data.map(one => JSON.stringify(one)), '[DONE]'].map(one => `data: ${one}\n\n`).join('')
const delta = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  model: 'm',
  choices: [{ index: 0, delta, finish_reason: finish }],
})
const call = (text: string, more: object = {}) => ({
  index: 0,
  ...more,
  function: { arguments: text, ...('id' in more && { name: 'f' }) },
})
const AS_JSON = { response_format: { type: 'json_object' } }

const wrong: Case[] = [
  { name: 'an empty answer', rule: 'empty', signal: 0, type: JSON_TYPE, text: whole({ content: '' }) },
  {
    name: 'an answer cut at its length',
    rule: 'cut',
    signal: 0.25,
    type: JSON_TYPE,
    text: whole({ content: 'It is' }, 'length'),
  },
  {
    name: 'text where JSON was asked for',
    rule: 'invalid_json',
    signal: 0,
    type: JSON_TYPE,
    text: whole({ content: 'Sure! {"a":1}' }),
    request: AS_JSON,
  },
  {
    name: 'a stream of half a document where a schema was asked for',
    rule: 'invalid_json',
    signal: 0,
    type: SSE_TYPE,
    text: events(
      delta({ content: '{"a"' }),
      ...Array.from({ length: 20 }, () => delta({ content: ' ' })),
      delta({ content: ':1' }),
      delta({}, 'stop'),
    ),
    request: { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } },
  },
  {
    name: 'tool arguments that are no JSON',
    rule: 'bad_tool_call',
    signal: 0,
    type: JSON_TYPE,
    text: whole(
      { content: null, tool_calls: [{ id: 'c1', function: { name: 'f', arguments: '{"a":' } }] },
      'tool_calls',
    ),
  },
  {
    name: 'tool arguments that are no JSON, in a stream',
    rule: 'bad_tool_call',
    signal: 0,
    type: SSE_TYPE,
    text: events(
      delta({ tool_calls: [call('', { id: 'c1' })] }),
      delta({ tool_calls: [call('{"a":')] }),
      delta({ tool_calls: [call('1')] }),
      delta({}, 'tool_calls'),
    ),
  },
  {
    name: "the model's own refusal",
    rule: 'refusal',
    signal: 0.25,
    type: JSON_TYPE,
    text: whole({ content: null, refusal: 'No.' }),
  },
  {
    name: 'an error in the stream',
    rule: 'error',
    signal: 0.25,
    type: SSE_TYPE,
    text: events(delta({ content: 'x' }), { error: { message: 'out of memory' } }),
  },
]

const fine: Omit<Case, 'rule' | 'signal'>[] = [
  { name: 'a plain answer', type: JSON_TYPE, text: whole({ content: 'It is 1200 mg.' }) },
  { name: 'JSON where it was asked for', type: JSON_TYPE, text: whole({ content: ' {"a":1}\n' }), request: AS_JSON },
  {
    name: 'a stream of JSON where it was asked for',
    type: SSE_TYPE,
    text: events(
      delta({ content: '{"a"' }),
      ...Array.from({ length: 20 }, () => delta({ content: ' ' })),
      delta({ content: ':1}' }),
      delta({}, 'stop'),
    ),
    request: AS_JSON,
  },
  {
    name: 'text where the request only speaks of json',
    type: JSON_TYPE,
    text: whole({ content: 'x' }),
    request: { response_format: { type: 'text' }, user: 'json' },
  },
  { name: "a filter's stop", type: JSON_TYPE, text: whole({ content: '' }, 'content_filter') },
  {
    name: 'a tool call in pieces',
    type: SSE_TYPE,
    text: events(
      delta({ tool_calls: [call('', { id: 'c1' })] }),
      delta({ tool_calls: [call('{"a":')] }),
      delta({ tool_calls: [call('1}')] }),
      delta({}, 'tool_calls'),
    ),
  },
  {
    name: 'two tool calls under one number',
    type: SSE_TYPE,
    text: events(
      delta({ tool_calls: [call('{"a":1}', { id: 'c1' })] }),
      delta({ tool_calls: [call('{"b":', { id: 'c2' })] }),
      delta({ tool_calls: [call('2}')] }),
      delta({}, 'tool_calls'),
    ),
  },
  {
    name: 'two tool calls under one number, each begun with nothing',
    type: SSE_TYPE,
    text: events(
      delta({ tool_calls: [call('', { id: 'c1' })] }),
      delta({ tool_calls: [call('{"a":1}')] }),
      delta({ tool_calls: [call('', { id: 'c2' })] }),
      delta({ tool_calls: [call('{"b":')] }),
      delta({ tool_calls: [call('2}')] }),
      delta({}, 'tool_calls'),
    ),
  },
  {
    name: 'a tool call without arguments',
    type: JSON_TYPE,
    text: whole({ content: null, tool_calls: [{ id: 'c1', function: { name: 'f', arguments: '' } }] }, 'tool_calls'),
  },
]

async function answered(
  { type, text, request = {} }: Omit<Case, 'rule' | 'signal'>,
  settings: Record<string, string> = { QIS_IMPLICIT: 'on' },
) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(
    await startUpstream({
      handler: async ({ request, response }) => {
        await request.body
        response.writeHead(200, { 'content-type': type }).end(text)
      },
    }),
  )
  const sidecar = parts.use(await startTestSidecar(upstream.url, settings))
  const post = async () => {
    const response = await fetch(`${sidecar.data}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'How much is it?' }], ...request }),
    })
    assert.equal(await response.text(), text, 'and the answer is as it was')
    return response.headers.get('x-qis-request-id') ?? ''
  }
  return { sidecar, post, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function implicit({ admin }: TestSidecar): Promise<(ShownFeedback & { tags: string[] })[]> {
  const response = await fetch(`${admin}/qis/feedback?source=implicit`)
  return ((await response.json()) as { feedback: (ShownFeedback & { tags: string[] })[] }).feedback
}

/** The answer has been looked at once it is known by its end, and what came of that is done before feedback that comes later. */
async function lookedAt(sidecar: TestSidecar): Promise<void> {
  const response = () => postFeedback(sidecar.data, { completion_id: 'chatcmpl-1', comment: 'seen' })
  await until('the end of the answer to be seen', async () => (await taken(await response())).status !== 'pending')
}

suite('an answer that nobody judges', () => {
  for (const { rule, signal, ...given } of wrong) {
    test(`${given.name} is taken for ${signal}, by the rule ${rule}, until a person says otherwise`, async () => {
      await using held = await answered(given)
      const requestId = await held.post()
      await until('the outcome', async () => (await outcomes(held.sidecar)).length > 0)
      assert.partialDeepStrictEqual((await outcomes(held.sidecar))[0], { signal, observer: 'i' })
      const [guess, ...more] = await until('the feedback', async () => {
        const found = await implicit(held.sidecar)
        return found.length > 0 ? found : undefined
      })
      assert.deepEqual(more, [])
      assert.partialDeepStrictEqual(guess, { request_id: requestId, source: 'implicit', tags: [rule] })
      await taken(await postFeedback(held.sidecar.data, { request_id: requestId, rating: 'up' }))
      assert.partialDeepStrictEqual((await outcomes(held.sidecar))[0], { signal: 1, observer: 'h' })
    })

    test(`${given.name} is not looked at where the rule is off`, async () => {
      const others = ['empty', 'cut', 'invalid_json', 'bad_tool_call', 'refusal', 'error'].filter(one => one !== rule)
      await using held = await answered(given, { QIS_IMPLICIT: others.join(', ') })
      await held.post()
      await lookedAt(held.sidecar)
      assert.deepEqual(await implicit(held.sidecar), [])
    })
  }

  for (const given of fine) {
    test(`${given.name} is thought nothing of`, async () => {
      await using held = await answered(given)
      await held.post()
      await lookedAt(held.sidecar)
      assert.deepEqual(await implicit(held.sidecar), [])
    })
  }

  test('a client that leaves says nothing of the answer, a server that breaks off does', async () => {
    const gate = Promise.withResolvers<void>()
    await using upstream = await startUpstream({
      handler: async ({ request, response }) => {
        await request.body
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(`data: ${JSON.stringify(delta({ content: 'x' }))}\n\n`)
        await gate.promise
        response.destroy()
      },
    })
    await using sidecar = await startTestSidecar(upstream.url, { QIS_IMPLICIT: 'on' })
    const leaving = new AbortController()
    const post = (signal?: AbortSignal) =>
      fetch(`${sidecar.data}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'How much is it?' }] }),
        ...(signal && { signal }),
      })
    const left = await post(leaving.signal)
    const stays = await post()
    leaving.abort()
    await until('the client to have left', async () => {
      const metrics = await (await fetch(`${sidecar.admin}/metrics`)).text()
      return metrics.includes('qis_clients_left_total 1')
    })
    gate.resolve()
    await assert.rejects(stays.text())
    const [guess] = await until('the outcome', async () => {
      const found = await implicit(sidecar)
      return found.length > 0 ? found : undefined
    })
    assert.partialDeepStrictEqual(guess, { request_id: stays.headers.get('x-qis-request-id'), tags: ['error'] })
    assert.ok(left.headers.get('x-qis-request-id') !== guess?.request_id)
    assert.equal((await implicit(sidecar)).length, 1)
    // fetch opens a connection in the place of a broken one, without a request on it that would end.
    sidecar.sidecar.cut()
  })

  test('a broken answer makes a correction without words one of format', async () => {
    await using held = await answered(
      { name: '', type: JSON_TYPE, text: whole({ content: 'no' }), request: AS_JSON },
      { QIS_IMPLICIT: 'off' },
    )
    const requestId = await held.post()
    await lookedAt(held.sidecar)
    await taken(await postFeedback(held.sidecar.data, { request_id: requestId, correction: 'nope' }))
    assert.partialDeepStrictEqual((await outcomes(held.sidecar))[0], { correction: 'format' })
  })
})

suite('asking again', () => {
  const record = { requestId: 'qis-1', code: 'aa', domain: 'general', model: 'm', intervention: 0, time: 0 } as const
  const next = (requestId: string, more: object = {}) => ({ ...record, ...more, requestId })

  test('tells of the answer before, if it is the same question of the same caller, and neither at once nor much later', () => {
    const { asked } = createAskedAgain()
    assert.equal(asked(record, 'ann', 0, 1_000), undefined)
    assert.equal(asked(next('qis-2'), 'ben', 20_000, 21_000), undefined, 'another caller')
    assert.equal(asked(next('qis-3', { code: 'bb' }), 'ann', 20_000, 21_000), undefined, 'another question')
    assert.equal(asked(next('qis-4', { model: 'n' }), 'ann', 20_000, 21_000), undefined, 'another model')
    assert.equal(asked(next('qis-5'), 'ann', 20_000, 21_000)?.requestId, 'qis-1')
    assert.equal(asked(next('qis-6'), 'ann', 22_000, 23_000), undefined, 'too soon for a person')
    assert.equal(asked(next('qis-7'), 'ben', 21_000 + 10 * 60_000 + 1, 1e6), undefined, 'another occasion')
  })

  test('is no sign from those who do nothing else', () => {
    const { asked } = createAskedAgain()
    const told = [0, 1, 2, 3, 4, 5].map(n => asked(next(`qis-${n}`), 'ann', n * 10_000, n * 10_000 + 1_000)?.requestId)
    assert.deepEqual(told, [undefined, 'qis-0', 'qis-1', undefined, undefined, undefined])
  })

  test('is feedback on the answer before, once, unless its own form has told more already', () => {
    const jobs: unknown[] = []
    const feedback = {
      async take(taken: readonly unknown[]) {
        jobs.push(...taken)
        return []
      },
    }
    const asking = (rules: readonly ImplicitRule[]) => createImplicit({ feedback, logger: { warn() {} } }, { rules })
    const twice = (rules: readonly ImplicitRule[], first: AnswerRecord) => {
      jobs.length = 0
      const { ended } = asking(rules)
      ended({ record: first, caller: 'ann', startedAt: 0, endedAt: 1_000 })
      ended({ record: next('qis-2'), caller: 'ann', startedAt: 20_000, endedAt: 21_000 })
      ended({ record: next('qis-3'), caller: undefined, startedAt: 40_000, endedAt: 41_000 })
      return jobs
    }
    const guess = { kind: 'guess', record, saying: { score: 0.4, tags: ['asked_again'] } }
    assert.deepEqual(twice(implicitRules, record), [guess])
    assert.deepEqual(twice(['empty'], record), [])
    const empty = { ...record, facts: ['empty' as const] }
    assert.deepEqual(twice(implicitRules, empty), [
      { kind: 'guess', record: empty, saying: { score: 0, tags: ['empty'] } },
    ])
    assert.partialDeepStrictEqual(twice(['asked_again'], empty), [{ saying: { tags: ['asked_again'] } }])
  })

  test('is remembered of so many at most', () => {
    const { asked } = createAskedAgain({ maxAsked: 4 })
    for (const caller of ['ann', 'ben', 'cem', 'dot']) asked(record, caller, 0, 0)
    assert.equal(asked(next('qis-2'), 'ann', 10_000, 10_000), undefined)
    assert.equal(asked(next('qis-2'), 'dot', 10_000, 10_000)?.requestId, 'qis-1')
  })
})

suite('whether JSON is asked for', () => {
  const cases: [url: string, body: string, asks: boolean][] = [
    ['/v1/chat/completions', '{"response_format":{"type":"json_schema"}}', true],
    ['/v1/chat/completions', '{"response_format":{ "type" : "json_object" }}', true],
    [
      '/v1/chat/completions',
      '{"messages":[{"content":"\\"response_format\\":{\\"type\\":\\"json_object\\"}"}]}',
      false,
    ],
    ['/v1/chat/completions', '{"response_format":{"type":"text"},"x":"json"}', false],
    ['/v1/chat/completions', '{"guided_json":{"type":"object"}}', true],
    ['/v1/chat/completions', '{"guided_json":null}', false],
    ['/v1/chat/completions', '{"structured_outputs":{"json":{"type":"object"}}}', true],
    ['/v1/chat/completions', '{"structured_outputs":{"regex":"json"}}', false],
    ['/v1/responses', '{"text":{"format":{"type":"json_schema","name":"x"}}}', true],
    ['/v1/responses', '{"text":{"format":{"type":"text"}},"x":"json"}', false],
    ['/api/chat', '{"format":"json"}', true],
    ['/api/chat', '{"format":{"type":"object"}}', true],
    ['/api/generate', '{"format":""}', false],
    ['/v1/chat/completions', '{"format":"json"}', false],
    ['/v1/chat/completions', '{"response_format":{"type":"json_object"}', false],
    ['/v1/chat/completions', '["json"]', false],
  ]
  for (const [url, body, asks] of cases) {
    test(`${url} ${body}: ${asks ? 'yes' : 'no'}`, () => assert.equal(asksForJson(url, Buffer.from(body)), asks))
  }
})
