import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type Habit, HabitSeen, withoutLogprobs } from '../../proxy/logprobs/choices.ts'
import { DataLines } from '../../proxy/logprobs/data-lines.ts'
import { createHabits } from '../../proxy/logprobs/habits.ts'
import { readPlainRequest } from '../../proxy/logprobs/request.ts'
import { postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { startUpstream, type UpstreamHandler, type UpstreamRequest } from '../support/upstream.ts'

const VALUE = '{"content":[{"token":"\\"logprobs\\":","logprob":-0.25,"bytes":null,"top_logprobs":[]}],"refusal":null}'
const QUESTION =
  '{"model":"m","messages":[{"role":"user","content":"Why is the sky blue?"}],"seed":12345678901234567890}'
const STREAMED = QUESTION.replace('{', '{"stream" : true,')

/** A choice as a server writes it that was not asked, and as it does when asked. */
type Pair = readonly [plain: string, asked: string]

const space = fc.constantFrom('', ' ', '\t')
const member = fc.constantFrom(
  '"index":0',
  '"delta":{"content":"a \\"logprobs\\":{} \\u00fc","logprobs":{"not":"this one"}}',
  '"message":{"role":"assistant","content":"x, }{][","tool_calls":[]}',
  '"finish_reason":null',
  '"stop_reason" : null',
  '"one":1.0',
)
const choice = (habit: Habit) =>
  fc
    .record({
      before: fc.array(member, { maxLength: 3 }),
      after: fc.array(member, { maxLength: 3 }),
      gap: space,
      given: fc.boolean(),
    })
    .map(({ before, after, gap, given }): Pair => {
      const write = (own: string[]) => `{${[...before, ...own, ...after].join(`,${gap}`)}}`
      const plain = habit === 'null' ? [`"logprobs":${gap}null`] : []
      return [write(plain), write(given ? [`"logprobs":${gap}${VALUE}`] : plain)]
    })
const document = (habit: Habit) =>
  fc.tuple(fc.array(choice(habit), { maxLength: 3 }), space).map(([choices, gap]): Pair => {
    const write = (at: 0 | 1) =>
      `{"id":"chatcmpl-1",${gap}"logprobs":"not here","choices":${gap}[${choices.map(one => one[at]).join(`,${gap}`)}],"usage":null}`
    return [write(0), write(1)]
  })
const event = (habit: Habit, end: string) =>
  fc.oneof(
    document(habit).map((pair): Pair => [`data: ${pair[0]}${end}${end}`, `data: ${pair[1]}${end}${end}`]),
    fc
      .constantFrom(
        ': ping',
        'event: message',
        'id: 1',
        'data: [DONE]',
        'data: {"choices":[{"logprobs"',
        'data:',
        'Grüße 🙂',
      )
      .map((line): Pair => [line + end, line + end]),
  )
const stream = (habit: Habit) =>
  fc
    .constantFrom('\n', '\r\n', '\r')
    .chain(end => fc.array(event(habit, end), { maxLength: 12 }))
    .map((events): Pair => [events.map(([plain]) => plain).join(''), events.map(([, asked]) => asked).join('')])
const habits = ['null', 'absent'] as const

suite('case 37: logprobs that we asked for ourselves', () => {
  for (const habit of habits) {
    test(`are taken out of any document, byte for byte, of a server that else writes ${habit}`, () => {
      fc.assert(
        fc.property(document(habit), ([plain, asked]) => {
          assert.equal(withoutLogprobs(Buffer.from(asked), habit).toString(), plain)
        }),
      )
    })

    test(`are taken out of any stream, however it is torn, of a server that else writes ${habit}`, () => {
      fc.assert(
        fc.property(
          stream(habit),
          fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
          ([plain, asked], sizes) => {
            const lines = new DataLines(json => withoutLogprobs(json, habit), 1 << 20)
            const bytes = Buffer.from(asked)
            const out: Buffer[] = []
            for (let at = 0, turn = 0; at < bytes.length; turn++) {
              const size = sizes[turn % sizes.length] as number
              out.push(lines.write(bytes.subarray(at, at + size)))
              at += size
            }
            out.push(lines.end())
            assert.equal(Buffer.concat(out).toString(), plain)
          },
        ),
      )
    })
  }

  test('a line that ends is not kept waiting, and one too long passes as it is, with all that follows', () => {
    const lines = new DataLines(json => withoutLogprobs(json, 'null'), 100)
    assert.equal(lines.write(Buffer.from('data: {"choices":[]}\n\nda')).toString(), 'data: {"choices":[]}\n\n')
    assert.equal(lines.write(Buffer.from('ta: 1\n')).toString(), 'data: 1\n')
    const long = `data: {"choices":[{"logprobs":${VALUE}}]}`
    assert.equal(lines.write(Buffer.from(long)).toString(), long)
    assert.equal(lines.write(Buffer.from(`\n${long}\n`)).toString(), `\n${long}\n`)
  })

  test('what is no completion stays as it is', () => {
    for (const odd of ['', 'x', '[]', '{"choices":{}}', '{"choices":[1,null]}', `{"choices":[{"logprobs":${VALUE}}]`]) {
      const bytes = Buffer.from(odd)
      assert.equal(withoutLogprobs(bytes, 'absent'), bytes)
    }
  })

  test('a request is asked anew only where it says nothing of them, and keeps its other bytes', () => {
    const of = (body: string) => readPlainRequest(Buffer.from(body))
    assert.equal(of(QUESTION)?.asking.toString(), QUESTION.replace('{', '{"logprobs":true,'))
    assert.deepEqual([of(QUESTION)?.model, of(QUESTION)?.streamed, of(STREAMED)?.streamed], ['m', false, true])
    for (const said of ['"logprobs":false', '"logprobs":null', '"top_logprobs":1', '"l\\u006fgprobs":true']) {
      assert.equal(of(QUESTION.replace('{', `{${said},`)), undefined, said)
    }
    for (const odd of ['', '[]', '{}', '{"prompt":"x"}', `${QUESTION}x`, QUESTION.slice(0, -1)])
      assert.equal(of(odd), undefined)
  })

  test('a server is known by what it writes unasked; one that wavers is never asked', () => {
    const habitOf = (...documents: string[]) => {
      const seen = new HabitSeen()
      for (const one of documents) seen.see(Buffer.from(one))
      return seen.habit
    }
    assert.equal(habitOf('{"choices":[{"logprobs":null}]}', '{"choices":[]}'), 'null')
    assert.equal(habitOf('{"choices":[{"index":0}]}', '[DONE]'), 'absent')
    assert.equal(habitOf('{"choices":[{"index":0}]}', '{"choices":[{"logprobs":null}]}'), 'never')
    assert.equal(habitOf('{"choices":[{"logprobs":{}}]}'), 'never')
    assert.equal(habitOf('[DONE]', '{"choices":[]}'), undefined)
  })

  test('habits are forgotten after an hour, and the oldest of too many', () => {
    let now = 0
    const habits = createHabits(() => now)
    habits.learn('a', 'null')
    assert.equal(habits.of('a'), 'null')
    now = 3_600_001
    assert.equal(habits.of('a'), undefined)
    for (let key = 0; key <= 256; key++) habits.learn(String(key), 'absent')
    assert.equal(habits.of('0'), undefined)
    assert.equal(habits.of('256'), 'absent')
  })
})

const bodyOf = async ({ body }: Pick<UpstreamRequest, 'body'>) => (await body).bytes.toString()
const JSON_TYPE = { 'content-type': 'application/json' }
const SSE_TYPE = { 'content-type': 'text/event-stream' }

/** Answers as vLLM or as llama.cpp does: with null or nothing where no logprobs were asked for. */
function server(habit: Habit): UpstreamHandler {
  return async ({ request, response, released }) => {
    const asked = JSON.parse(await bodyOf(request)) as { logprobs?: boolean; stream?: boolean }
    const logprobs = asked.logprobs ? `"logprobs": ${VALUE},` : habit === 'null' ? '"logprobs": null,' : ''
    if (!asked.stream) {
      const body = `{"id":"c-1","choices": [{"index":0,${logprobs}"message":{"content":"Grüße"},"big":12345678901234567890}]}`
      response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) }).end(body)
      return
    }
    response.writeHead(200, SSE_TYPE)
    response.flushHeaders()
    for (const word of ['Grü', 'ße']) {
      await released()
      response.write(`data: {"id":"c-1","choices":[{"index":0,${logprobs}"delta":{"content":"${word}"}}]}\r\n\r\n`)
    }
    await released()
    response.end('data: [DONE]\r\n\r\n')
  }
}

async function pair(handler: UpstreamHandler, settings: Record<string, string> = { QIS_OWN_LOGPROBS: 'on' }) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream({ handler }))
  const sidecar = parts.use(await startTestSidecar(upstream.url, settings))
  const ask = async (body = QUESTION, headers: Record<string, string> = {}) => {
    const request = httpRequest(new URL('/v1/chat/completions', sidecar.data), {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      agent: false,
      signal: AbortSignal.timeout(60_000),
    })
    request.end(body)
    const [response] = await once(request, 'response')
    const { 'x-qis-request-id': id, 'content-length': length } = response.headers as Record<string, string>
    return { status: response.statusCode as number, id, length, response }
  }
  const sent = async () => bodyOf(await upstream.nextRequest())
  return { upstream, sidecar, ask, sent, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

const asking = (body: string) => body.replace('{', '{"logprobs":true,')

suite('case 37: through the whole sidecar', () => {
  for (const habit of habits) {
    test(`a document is the same, asked or not, of a server that else writes ${habit}`, async () => {
      await using run = await pair(server(habit))
      const plain = await run.ask()
      const expected = await text(plain.response)
      const asked = await run.ask()
      assert.equal(await text(asked.response), expected)
      assert.equal(asked.length, plain.length)
      assert.deepEqual([await run.sent(), await run.sent()], [QUESTION, asking(QUESTION)])
    })

    test(`a stream is the same, asked or not, and each event comes at once, of a server that else writes ${habit}`, async () => {
      await using run = await pair(server(habit))
      const read = async () => {
        const { response } = await run.ask(STREAMED)
        const upstream = await run.upstream.nextRequest()
        const events: string[] = []
        for (let event = 0; event < 3; event++) {
          upstream.release(1)
          const [bytes] = await once(response, 'data')
          events.push(String(bytes))
        }
        return { events, body: await bodyOf(upstream) }
      }
      const plain = await read()
      const asked = await read()
      assert.deepEqual(asked.events, plain.events)
      assert.deepEqual([plain.body, asked.body], [STREAMED, asking(STREAMED)])
    })
  }

  test('the confidence is known, as if the client had asked', async () => {
    await using run = await pair(server('absent'))
    await text((await run.ask()).response)
    const { id, response } = await run.ask()
    await text(response)
    const rated = await postFeedback(run.sidecar.data, { request_id: id, rating: 'up' })
    const { feedback_id } = (await rated.json()) as { feedback_id: string }
    const view = (await (await fetch(`${run.sidecar.data}/qis/feedback/${feedback_id}`)).json()) as {
      self_confidence: number
    }
    assert.ok(Math.abs(view.self_confidence - Math.exp(-0.25)) < 1e-3, `${view.self_confidence}`)
  })

  test('a server that refuses is asked again as the client asked, and not for them any more', async () => {
    const obliging = server('null')
    await using run = await pair(async exchange => {
      const body = await bodyOf(exchange.request)
      if (!body.includes('logprobs')) return obliging(exchange)
      exchange.response.writeHead(400, JSON_TYPE).end('{"error":{"message":"logprobs are not supported"}}')
    })
    const answers = []
    for (let turn = 0; turn < 3; turn++) {
      const { status, response } = await run.ask()
      answers.push(`${status} ${await text(response)}`)
    }
    assert.match(answers[0] ?? '', /^200 \{/)
    assert.deepEqual(answers, Array(3).fill(answers[0]))
    const bodies = [await run.sent(), await run.sent(), await run.sent(), await run.sent()]
    assert.deepEqual(bodies, [QUESTION, asking(QUESTION), QUESTION, QUESTION])
    assert.equal(run.upstream.requests.length, 4)
  })

  test('a refusal that never ends is not waited for', async () => {
    const obliging = server('null')
    await using run = await pair(async exchange => {
      const body = await bodyOf(exchange.request)
      if (!body.includes('logprobs')) return obliging(exchange)
      exchange.response.writeHead(422, JSON_TYPE).write('{"error":{"message":"')
    })
    const first = await text((await run.ask()).response)
    const begun = performance.now()
    const { status, response } = await run.ask()
    assert.deepEqual([status, await text(response)], [200, first])
    const took = performance.now() - begun
    assert.ok(took >= 900, `it was given ${took} ms to end`)
    assert.deepEqual([await run.sent(), await run.sent(), await run.sent()], [QUESTION, asking(QUESTION), QUESTION])
  })

  test("a request that is refused for its own sake gets the server's own words, and the next is asked", async () => {
    const obliging = server('null')
    await using run = await pair(async exchange => {
      const body = await bodyOf(exchange.request)
      if (body.includes('sky')) return obliging(exchange)
      exchange.response.writeHead(400, JSON_TYPE).end(`{"error":${body.length}}`)
    })
    await text((await run.ask()).response)
    const wrong = QUESTION.replace('sky', 'sea')
    const refused = await run.ask(wrong)
    assert.equal(refused.status, 400)
    assert.equal(await text(refused.response), `{"error":${wrong.length}}`)
    await text((await run.ask()).response)
    const bodies = await Promise.all(run.upstream.requests.map(bodyOf))
    assert.deepEqual(bodies, [QUESTION, asking(wrong), wrong, asking(QUESTION)])
  })

  test('who asked for them gets them, and who opted out is not asked about', async () => {
    await using run = await pair(server('null'))
    await text((await run.ask()).response)
    const own = QUESTION.replace('{', '{"logprobs":true,"top_logprobs":2,')
    assert.ok((await text((await run.ask(own)).response)).includes(VALUE))
    await text((await run.ask(QUESTION, { 'x-qis-opt-out': '1' })).response)
    assert.deepEqual([await run.sent(), await run.sent(), await run.sent()], [QUESTION, own, QUESTION])
  })

  test('a compressed answer passes as it is; the server is asked for none', async () => {
    const plain = '{"choices":[{"logprobs":null}]}'
    const packed = gzipSync(`{"choices":[{"logprobs":${VALUE}}]}`)
    await using run = await pair(async ({ request, response }) => {
      const asked = (await bodyOf(request)).includes('logprobs')
      response
        .writeHead(200, asked ? { ...JSON_TYPE, 'content-encoding': 'gzip' } : JSON_TYPE)
        .end(asked ? packed : plain)
    })
    assert.equal(await text((await run.ask(QUESTION, { 'accept-encoding': 'gzip' })).response), plain)
    const { response } = await run.ask(QUESTION, { 'accept-encoding': 'gzip' })
    const bytes = await response.toArray()
    assert.deepEqual(Buffer.concat(bytes), packed)
    assert.deepEqual(
      run.upstream.requests.map(({ headers }) => headers['accept-encoding']),
      ['gzip', 'identity'],
    )
  })

  test('an answer that breaks off is never taken for a whole one', async () => {
    for (const body of [QUESTION, STREAMED]) {
      const whole = server('null')
      await using run = await pair(async exchange => {
        const asked = (await bodyOf(exchange.request)).includes('logprobs')
        exchange.request.release(3)
        if (!asked) return whole(exchange)
        const { response } = exchange
        response.writeHead(200, body === STREAMED ? SSE_TYPE : { ...JSON_TYPE, 'content-length': 900 })
        await new Promise(resolve => response.write('data: {"id":1}\n\ndata: {"choices":[{"in', resolve))
        response.destroy()
      })
      await text((await run.ask(body)).response)
      const { status, response } = await run.ask(body)
      if (body === STREAMED) await assert.rejects(text(response), /aborted/)
      else assert.equal(status, 502)
    }
  })

  test('nothing is asked unless it is switched on', async () => {
    await using run = await pair(server('null'), {})
    for (let turn = 0; turn < 3; turn++) await text((await run.ask()).response)
    assert.deepEqual([await run.sent(), await run.sent(), await run.sent()], [QUESTION, QUESTION, QUESTION])
  })
})
