import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import OpenAI, { APIError, APIUserAbortError } from 'openai'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user' as const, content: 'What is 17 times 23?' }]
const model = 'qis-practice'

async function withPracticeModel() {
  const parts = new AsyncDisposableStack()
  const origin = await parts.use(createPracticeModel()).listen()
  const sidecar = parts.use(await startTestSidecar(origin))
  const client = (base: string) => new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0, timeout: 10_000 })
  return {
    sidecar,
    direct: client(origin),
    proxied: client(sidecar.data),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** Ids and times differ from one answer to the next. */
function lasting<T extends { id: string; created: number }>({ id: _, created: __, ...rest }: T) {
  return rest
}

suite('the official client', () => {
  test('gets the same chat completion as without us', async () => {
    await using run = await withPracticeModel()
    const body = { model, messages, logprobs: true, top_logprobs: 2 }
    const direct = await run.direct.chat.completions.create(body)
    const { data, response } = await run.proxied.chat.completions.create(body).withResponse()
    assert.deepEqual(lasting(data), lasting(direct))
    assert.match(data.choices[0]?.message.content ?? '', /391/)
    assert.match(response.headers.get('x-practice-model') ?? '', /not an LLM/)
    assert.ok(response.headers.get('x-qis-receipt'))
  })

  test('gets the same stream', async () => {
    await using run = await withPracticeModel()
    const body = { model, messages, stream: true as const, stream_options: { include_usage: true } }
    const collect = async (client: OpenAI) => {
      const chunks = []
      for await (const chunk of await client.chat.completions.create(body)) chunks.push(lasting(chunk))
      return chunks
    }
    const chunks = await collect(run.proxied)
    assert.deepEqual(chunks, await collect(run.direct))
    assert.ok(chunks.length > 3)
    assert.ok(chunks.at(-1)?.usage)
  })

  test('gets the same text completion, embedding and list of models', async () => {
    await using run = await withPracticeModel()
    const calls: ((client: OpenAI) => Promise<object>)[] = [
      async client => lasting(await client.completions.create({ model, prompt: 'What is 2 + 2?' })),
      async client => client.embeddings.create({ model, input: ['one', 'two'] }),
      async client => (await client.models.list()).data.map(({ created: _, ...rest }) => rest),
    ]
    for (const call of calls) assert.deepEqual(await call(run.proxied), await call(run.direct))
  })

  test('gets the same error', async () => {
    await using run = await withPracticeModel()
    const failure = async (client: OpenAI) =>
      client.chat.completions.create({ model, messages: [] }).then(
        () => assert.fail('an empty conversation was accepted'),
        (error: unknown) => {
          assert.ok(error instanceof APIError)
          return { status: error.status, code: error.code, param: error.param, message: error.message }
        },
      )
    assert.deepEqual(await failure(run.proxied), await failure(run.direct))
  })

  test('sends tools and a schema, and gets tool calls, as without us', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }
    await using upstream = await startUpstream({
      handler: async ({ request, response }) => {
        const { bytes } = await request.body
        const { stream } = JSON.parse(bytes.toString())
        const choice = (rest: object) =>
          JSON.stringify({ id: 'chatcmpl-1', model: 'm', choices: [{ index: 0, ...rest }] })
        if (!stream) {
          const message = { role: 'assistant', content: null, tool_calls: [call] }
          return void response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(choice({ message, finish_reason: 'tool_calls' }))
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        // As some servers do: the index always 0, the id only once.
        const deltas = [
          { role: 'assistant', tool_calls: [{ index: 0, ...call }] },
          { tool_calls: [{ index: 0, function: { arguments: '' } }] },
        ]
        for (const delta of deltas) response.write(`data: ${choice({ delta, finish_reason: null })}\n\n`)
        response.end(`data: ${choice({ delta: {}, finish_reason: 'tool_calls' })}\n\ndata: [DONE]\n\n`)
      },
    })
    await using sidecar = await startTestSidecar(upstream.url)
    const ask = async (base: string) => {
      const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 })
      const body = {
        model,
        messages,
        tools: [
          { type: 'function' as const, function: { name: 'weather', strict: true, parameters: { type: 'object' } } },
        ],
        response_format: { type: 'json_schema' as const, json_schema: { name: 'answer', schema: { type: 'object' } } },
      }
      const plain = await client.chat.completions.create(body)
      const streamed = await client.chat.completions.stream(body).finalChatCompletion()
      return [plain.choices[0]?.message.tool_calls, streamed.choices[0]?.message.tool_calls]
    }
    const [direct, proxied] = [await ask(upstream.url), await ask(sidecar.data)]
    assert.deepEqual(proxied, direct)
    assert.match(JSON.stringify(proxied), /Bern/)
    const sent = await Promise.all(upstream.requests.map(async ({ body }) => (await body).sha256))
    assert.deepEqual(sent.slice(2), sent.slice(0, 2), 'the upstream was sent the same')
  })

  test('uploads audio as without us', async () => {
    await using upstream = await startUpstream({
      handler: async ({ request, response }) => {
        const { bytes, length } = await request.body
        const named = /name="(file|model)"/g
        const fields = [...bytes.toString('latin1').matchAll(named)].map(([, name]) => name).sort()
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ text: `${fields} ${length > 300_000}` }))
      },
    })
    await using sidecar = await startTestSidecar(upstream.url)
    const client = new OpenAI({ baseURL: `${sidecar.data}/v1`, apiKey: 'none', maxRetries: 0 })
    const file = new File([Buffer.alloc(300_000, 7)], 'speech.wav')
    const { text } = await client.audio.transcriptions.create({ model: 'whisper-1', file })
    assert.equal(text, 'file,model true')
  })

  test('stops the upstream when it aborts a stream', async () => {
    await using upstream = await startUpstream({ mode: 'stream-gated' })
    await using sidecar = await startTestSidecar(upstream.url)
    const client = new OpenAI({ baseURL: `${sidecar.data}/v1`, apiKey: 'none', maxRetries: 0 })
    const stream = await client.chat.completions.create({ model, messages, stream: true })
    const seen = await upstream.nextRequest()
    seen.release()
    const consumed = (async () => {
      for await (const _ of stream) stream.controller.abort()
    })()
    await consumed.catch(error => assert.ok(error instanceof APIUserAbortError))
    assert.equal((await seen.closed).aborted, true)
  })

  test('sends feedback by the id of a streamed completion', async () => {
    await using run = await withPracticeModel()
    let id = ''
    for await (const chunk of await run.proxied.chat.completions.create({ model, messages, stream: true }))
      id = chunk.id
    const post = async () =>
      fetch(`${run.sidecar.data}/qis/feedback`, {
        method: 'POST',
        body: JSON.stringify({ completion_id: id, rating: 'up' }),
      })
    assert.equal((await post()).status, 202)
    const { response } = await run.proxied.chat.completions.create({ model, messages }).withResponse()
    assert.ok(Number(response.headers.get('x-qis-confidence')) > 0.5)
  })
})
