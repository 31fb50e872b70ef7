import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, it } from 'node:test'
import OpenAI, { APIError } from 'openai'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'

async function start() {
  const left = Promise.withResolvers<void>()
  const logger = {
    debug: () => left.resolve(),
    error: (details: object, message: string) => assert.fail(`${message}: ${JSON.stringify(details)}`),
  }
  const model = createPracticeModel({ logger })
  const url = await model.listen()
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
  return { url, client, left: left.promise, [Symbol.asyncDispose]: () => model[Symbol.asyncDispose]() }
}

const ask = (content: string) => ({ model: 'any-name', messages: [{ role: 'user' as const, content }] })

async function rejection(promise: PromiseLike<unknown>): Promise<APIError> {
  const error = await Promise.resolve(promise).then(
    () => assert.fail('it was answered'),
    error => error,
  )
  assert.ok(error instanceof APIError, String(error))
  return error
}

describe('practice model: server', () => {
  it('answers a chat under its own name, whatever model was asked for', async () => {
    await using practice = await start()
    const { data, response } = await practice.client.chat.completions.create(ask('What is 6 times 7?')).withResponse()
    assert.equal(data.choices[0]?.message.content, '6 * 7 = 42')
    assert.equal(data.choices[0]?.finish_reason, 'stop')
    assert.equal(data.model, 'qis-practice')
    assert.equal(data.system_fingerprint, 'fp_practice')
    assert.deepEqual(data.usage, { prompt_tokens: 6, completion_tokens: 5, total_tokens: 11 })
    assert.ok(Math.abs(data.created - Date.now() / 1000) < 10)
    assert.match(response.headers.get('x-practice-model') ?? '', /not an LLM/)
  })

  it('gives equal requests equal answers under different ids', async () => {
    await using practice = await start()
    const [first, second] = await Promise.all([1, 2].map(() => practice.client.chat.completions.create(ask('2+2'))))
    assert.notEqual(first?.id, second?.id)
    assert.deepEqual(first?.choices, second?.choices)
  })

  it('answers the last user turn, reading the text among content parts', async () => {
    await using practice = await start()
    const { choices } = await practice.client.chat.completions.create({
      model: 'qis-practice',
      messages: [
        { role: 'system', content: 'What is 1 + 1?' },
        { role: 'user', content: 'What is 2 + 2?' },
        { role: 'assistant', content: null },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            { type: 'text', text: 'What is 3 + 3?' },
          ],
        },
        { role: 'assistant', content: 'Let me think.' },
      ],
    })
    assert.equal(choices[0]?.message.content, '3 + 3 = 6')
  })

  it('streams the same answer it would give whole, with usage when asked', async () => {
    await using practice = await start()
    const stream = await practice.client.chat.completions.create({
      ...ask('What is 6 times 7?'),
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    assert.deepEqual(chunks[0]?.choices[0]?.delta, { role: 'assistant', content: '', refusal: null })
    assert.equal(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join(''), '6 * 7 = 42')
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
    assert.deepEqual(chunks.at(-1)?.choices, [])
    assert.deepEqual(chunks.at(-1)?.usage, { prompt_tokens: 6, completion_tokens: 5, total_tokens: 11 })
    assert.ok(chunks.slice(0, -1).every(chunk => chunk.usage === null))
  })

  it('writes its events as OpenAI does, to the byte', async () => {
    await using practice = await start()
    const body = JSON.stringify({ ...ask('1+1'), stream: true })
    const response = await fetch(`${practice.url}/v1/chat/completions`, { method: 'POST', body })
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
    const text = await response.text()
    assert.match(text, /^(data: \{[^\n]*\}\n\n){7}data: \[DONE\]\n\n$/)
    assert.doesNotMatch(text, /"usage"/)
  })

  it('stops where it is told to', async () => {
    await using practice = await start()
    const create = async (options: object) => {
      const { choices, usage } = await practice.client.chat.completions.create({ ...ask('count to 9'), ...options })
      return [choices[0]?.message.content, choices[0]?.finish_reason, usage?.completion_tokens]
    }
    assert.deepEqual(await create({}), ['1 2 3 4 5 6 7 8 9', 'stop', 9])
    assert.deepEqual(await create({ stop: ' 4' }), ['1 2 3', 'stop', 3])
    assert.deepEqual(await create({ stop: ['8', '3'] }), ['1 2 ', 'stop', 3])
    assert.deepEqual(await create({ max_tokens: 2 }), ['1 2', 'length', 2])
    assert.deepEqual(await create({ max_completion_tokens: 9, max_tokens: 2 }), ['1 2 3 4 5 6 7 8 9', 'stop', 9])
    assert.deepEqual(await create({ max_tokens: 2, stop: '3' }), ['1 2', 'length', 2])
  })

  it('claims to be sure, whole and streamed alike', async () => {
    await using practice = await start()
    const body = { ...ask('How many r in strawberry?'), logprobs: true, top_logprobs: 3 }
    const whole = await practice.client.chat.completions.create(body)
    const rows = whole.choices[0]?.logprobs?.content ?? []
    assert.equal(rows.map(row => row.token).join(''), whole.choices[0]?.message.content)
    for (const row of rows) {
      assert.ok(row.logprob <= 0 && row.logprob > -0.2)
      assert.equal(row.top_logprobs.length, 3)
      assert.equal(Buffer.from(row.bytes ?? []).toString(), row.token)
    }
    const chunks = await Array.fromAsync(await practice.client.chat.completions.create({ ...body, stream: true }))
    assert.deepEqual(
      chunks.flatMap(chunk => chunk.choices[0]?.logprobs?.content ?? []),
      rows,
    )
    const none = await practice.client.chat.completions.create(ask('2+2'))
    assert.equal(none.choices[0]?.logprobs, null)
  })

  it('completes a prompt the older way, whole and streamed', async () => {
    await using practice = await start()
    const body = { model: 'x', prompt: 'What is 6 times 7?', logprobs: 2 }
    const whole = await practice.client.completions.create(body)
    const choice = whole.choices[0]
    assert.equal(choice?.text, '6 * 7 = 42')
    assert.deepEqual(choice?.logprobs?.tokens, ['6', ' *', ' 7', ' =', ' 42'])
    assert.deepEqual(choice?.logprobs?.text_offset, [0, 1, 3, 5, 7])
    assert.equal(Object.keys(choice?.logprobs?.top_logprobs?.[0] ?? {}).length, 2)
    const chunks = await Array.fromAsync(await practice.client.completions.create({ ...body, stream: true }))
    assert.equal(chunks.map(chunk => chunk.choices[0]?.text).join(''), '6 * 7 = 42')
    assert.deepEqual(
      chunks.flatMap(chunk => chunk.choices[0]?.logprobs?.text_offset ?? []),
      [0, 1, 3, 5, 7],
    )
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop')
  })

  it('embeds with the built-in embedder, as numbers and as base64', async () => {
    await using practice = await start()
    await using embedder = createStaticEmbedder()
    const [expected = new Float32Array()] = await embedder.embed(['how warm is it'])
    for (const encoding_format of ['float', 'base64', undefined] as const) {
      const { data, usage } = await practice.client.embeddings.create({
        model: 'x',
        input: ['how warm is it', 'unrelated'],
        ...(encoding_format && { encoding_format }),
      })
      assert.equal(data.length, 2)
      const got: unknown = data[0]?.embedding
      const vector = typeof got === 'string' ? new Float32Array(new Uint8Array(Buffer.from(got, 'base64')).buffer) : got
      assert.deepEqual([...(vector as Iterable<number>)], [...expected])
      assert.equal(usage.prompt_tokens, 6)
    }
    const single = await practice.client.embeddings.create({ model: 'x', input: 'one text' })
    assert.equal(single.data.length, 1)
  })

  it('lists its one model', async () => {
    await using practice = await start()
    const models = await Array.fromAsync(practice.client.models.list())
    assert.deepEqual(
      models.map(model => [model.id, model.owned_by]),
      [['qis-practice', 'qis-sidecar']],
    )
    assert.equal((await practice.client.models.retrieve('qis-practice')).id, 'qis-practice')
    const error = await rejection(practice.client.models.retrieve('other'))
    assert.deepEqual([error.status, error.code], [404, 'model_not_found'])
  })

  it('is healthy', async () => {
    await using practice = await start()
    assert.deepEqual(await (await fetch(`${practice.url}/health`)).json(), { status: 'ok' })
    const head = await fetch(`${practice.url}/health`, { method: 'HEAD' })
    assert.deepEqual([head.status, await head.text()], [200, ''])
  })

  it('names what is wrong with a request', async () => {
    await using practice = await start()
    const { chat, completions, embeddings } = practice.client
    const wrong: [string, PromiseLike<unknown>][] = [
      ['n', chat.completions.create({ ...ask('2+2'), n: 2 })],
      ['messages', chat.completions.create({ model: 'x', messages: [] })],
      [
        'messages[0].content',
        chat.completions.create({ model: 'x', messages: [{ role: 'user', content: 1 as never }] }),
      ],
      ['top_logprobs', chat.completions.create({ ...ask('2+2'), top_logprobs: 2 })],
      ['top_logprobs', chat.completions.create({ ...ask('2+2'), logprobs: true, top_logprobs: 21 })],
      ['max_tokens', chat.completions.create({ ...ask('2+2'), max_tokens: 0 })],
      ['stop', chat.completions.create({ ...ask('2+2'), stop: ['a', 'b', 'c', 'd', 'e'] })],
      ['stream_options', chat.completions.create({ ...ask('2+2'), stream_options: { include_usage: true } })],
      ['prompt', completions.create({ model: 'x', prompt: [1, 2] })],
      ['prompt', completions.create({ model: 'x', prompt: ['a', 'b'] })],
      ['input', embeddings.create({ model: 'x', input: [] })],
      ['input', embeddings.create({ model: 'x', input: [1, 2] })],
      ['dimensions', embeddings.create({ model: 'x', input: 'a', dimensions: 3 })],
    ]
    for (const [param, promise] of wrong) {
      const error = await rejection(promise)
      assert.deepEqual([error.status, error.type, error.param], [400, 'invalid_request_error', param])
    }
  })

  it('refuses what is not JSON, what is compressed, and paths it does not know', async () => {
    await using practice = await start()
    const post = async (path: string, init: RequestInit) => {
      const response = await fetch(practice.url + path, { method: 'POST', ...init })
      assert.ok(response.headers.has('x-practice-model'))
      const { error } = (await response.json()) as { error: { message: string; type: string; code: string | null } }
      return [response.status, error.code, error.type]
    }
    const invalid = 'invalid_request_error'
    assert.deepEqual(await post('/v1/chat/completions', { body: '{"messages":' }), [400, 'invalid_json', invalid])
    assert.deepEqual(await post('/v1/chat/completions', { body: '[]' }), [400, null, invalid])
    assert.deepEqual(await post('/v1/chat/completions', { body: '{}' }), [400, 'missing_required_parameter', invalid])
    assert.deepEqual(await post('/v1/chat/completions', { body: 'x', headers: { 'content-encoding': 'gzip' } }), [
      415,
      null,
      invalid,
    ])
    assert.deepEqual(await post('/v1/unknown', {}), [404, 'unknown_url', invalid])
    assert.deepEqual(await post('/health', {}), [404, 'unknown_url', invalid])
  })

  it('answers 413 to a body over 32 MiB, and takes one just below', async () => {
    await using practice = await start()
    const prompt = (length: number) => JSON.stringify({ prompt: 'a'.repeat(length - '{"prompt":""}'.length) })
    const send = async (length: number) =>
      (await fetch(`${practice.url}/v1/completions`, { method: 'POST', body: prompt(length) })).status
    const limit = 32 * 1024 * 1024
    assert.equal(await send(limit), 200)
    assert.equal(await send(limit + 1), 413)
  })

  it('stops generating when the client leaves', { timeout: 5_000 }, async () => {
    await using practice = await start()
    const outgoing = request(`${practice.url}/v1/chat/completions`, { method: 'POST' })
    outgoing.end(JSON.stringify({ ...ask('count to 10000'), stream: true, logprobs: true, top_logprobs: 20 }))
    outgoing.on('response', response => response.once('data', () => outgoing.destroy()))
    outgoing.on('error', () => {})
    await practice.left
  })
})
