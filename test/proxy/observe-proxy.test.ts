import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { operationOf } from '../../proxy/observe/operation.ts'
import { type Answer, answers, failures, SSE_TYPE } from '../support/answers.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { startUpstream, type Upstream, type UpstreamHandler, type UpstreamMode } from '../support/upstream.ts'

const QUESTION = '{"model":"M-7B","messages":[{"role":"user","content":"Why is the sky blue?"}]}'

let parts: AsyncDisposableStack
let upstream: Upstream
let sidecar: TestSidecar
/** What the upstream answers when no mode is asked for. */
let handler: UpstreamHandler

before(async () => {
  parts = new AsyncDisposableStack()
  upstream = parts.use(await startUpstream({ handler: exchange => handler(exchange) }))
  sidecar = parts.use(await startTestSidecar(upstream.url))
})
after(() => parts.disposeAsync())

/** The bytes of an answer as they came, inflated by nobody; those before the end when it broke off. */
async function post(base: string, path: string, headers: Record<string, string> = {}, body = QUESTION) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; bytes: Buffer; whole: boolean }>()
  const request = httpRequest(new URL(path, base), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    agent: false,
    signal: AbortSignal.timeout(60_000),
  })
  request.once('error', reject)
  request.once('response', response => {
    const chunks: Buffer[] = []
    response.on('data', chunk => chunks.push(chunk))
    response.once('error', () => {}) // `complete` tells.
    response.once('close', () =>
      resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(chunks), whole: response.complete }),
    )
  })
  request.end(body)
  return promise
}

type Samples = Map<string, number>

async function scrape(): Promise<Samples> {
  const text = await (await fetch(`${sidecar.admin}/metrics`)).text()
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

/** How much each sample of the GenAI and observation metrics has grown, as soon as one answer more was observed. */
async function observed(before: Samples): Promise<Samples> {
  return until('the observation', async () => {
    const grown = [...(await scrape())]
      .filter(([name]) => /^(?:gen_ai_|qis_observation_)/.test(name) && !name.includes('_bucket'))
      .map(([name, value]): [string, number] => [name, value - (before.get(name) ?? 0)])
      .filter(([, growth]) => growth !== 0)
    return grown.some(([name]) => name.startsWith('qis_observation_total')) ? new Map(grown) : undefined
  })
}

suite('bytes are the same, observed or not', () => {
  const modes: [UpstreamMode, result: string | undefined][] = [
    ['ok', 'complete'],
    ['stream', 'complete'],
    ['stream-crlf', 'complete'],
    ['stream-comments', 'complete'],
    ['stream-split', 'complete'],
    ['stream-error', 'complete'],
    ['stream-gzip', 'complete'],
    ['gzip', 'complete'],
    ['ndjson', 'complete'],
    ['cookies', 'complete'],
    ['trailers', 'complete'],
    ['death-mid-stream', 'broken_off'],
    ['short-body', 'broken_off'],
    ['huge', undefined],
    ['error-429', undefined],
  ]
  for (const [mode, result] of modes) {
    test(`mode ${mode}: ${result ?? 'not observed'}`, async () => {
      const headers = { 'x-test-mode': mode, 'x-test-bytes': '3000000' }
      const direct = await post(upstream.url, '/v1/chat/completions', headers)
      const earlier = await scrape()
      const proxied = await post(sidecar.data, '/v1/chat/completions', headers)
      assert.deepEqual(proxied, direct)
      if (result === undefined) {
        const names = [...(await scrape())]
          .filter(([name, value]) => value !== (earlier.get(name) ?? 0))
          .map(([name]) => name)
        assert.deepEqual(
          names.filter(name => /^(?:gen_ai|qis_observation)/.test(name)),
          [],
        )
      } else {
        assert.equal((await observed(earlier)).get(`qis_observation_total{result="${result}"}`), 1)
      }
    })
  }

  const answering =
    ({ type, text }: Pick<Answer, 'type' | 'text'>): UpstreamHandler =>
    async ({ request, response }) => {
      await request.body
      response.writeHead(200, { 'content-type': type })
      for (const part of text.split(/(?<=\n)/)) response.write(part)
      response.end()
    }

  for (const answer of [...answers, ...failures]) {
    test(answer.name, async () => {
      handler = answering(answer)
      const { bytes, whole } = await post(sidecar.data, '/v1/chat/completions')
      assert.equal(bytes.toString(), answer.text)
      assert.ok(whole)
    })
  }

  test('an answer larger than observation reads, and one with an event larger than that', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024)
    for (const [type, text, result] of [
      ['application/json', `{"id":"${large}"}`, 'gave_up'],
      [SSE_TYPE, `data: {"choices":[{"delta":{"content":"${large}"}}]}\n\ndata: [DONE]\n\n`, 'partial'],
    ] as const) {
      handler = answering({ type, text })
      const earlier = await scrape()
      const { bytes } = await post(sidecar.data, '/v1/chat/completions')
      assert.ok(bytes.equals(Buffer.from(text)), type)
      assert.equal((await observed(earlier)).get(`qis_observation_total{result="${result}"}`), 1)
    }
  })
})

suite('what is learnt comes where it is needed', () => {
  test('tokens and times are counted by operation, model and direction', async () => {
    const earlier = await scrape()
    await post(sidecar.data, '/v1/chat/completions', { 'x-test-mode': 'stream' })
    const grown = await observed(earlier)
    const labels = 'gen_ai_operation_name="chat",gen_ai_request_model="m-7b"'
    for (const [name, value] of [
      [`gen_ai_client_token_usage_sum{${labels},gen_ai_token_type="input"}`, 4],
      [`gen_ai_client_token_usage_sum{${labels},gen_ai_token_type="output"}`, 4],
      [`gen_ai_client_operation_duration_seconds_count{${labels}}`, 1],
      [`gen_ai_server_time_to_first_token_seconds_count{${labels}}`, 1],
      [`gen_ai_server_time_per_output_token_seconds_count{${labels}}`, 1],
    ] as const) {
      assert.equal(grown.get(name), value, `${name} in ${JSON.stringify([...grown])}`)
    }
    const time = (name: string) => grown.get(`gen_ai_${name}_seconds_sum{${labels}}`) ?? Number.NaN
    const whole = time('client_operation_duration')
    assert.ok(time('server_time_to_first_token') > 0 && time('server_time_to_first_token') <= whole && whole < 10)
  })

  test('the time to the first token is measured up to a minute', async () => {
    const text = await (await fetch(`${sidecar.admin}/metrics`)).text()
    assert.match(text, /^gen_ai_server_time_to_first_token_seconds_bucket\{le="60",/m)
  })

  test('an answer that is no model’s is not told as one', async () => {
    handler = ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    const earlier = await scrape()
    await post(sidecar.data, '/v1/files')
    assert.deepEqual([...(await observed(earlier))], [['qis_observation_total{result="complete"}', 1]])
  })

  test('embeddings, at whose path there is no question, count as well', async () => {
    const body =
      '{"object":"list","model":"e5","data":[{"embedding":[0]}],"usage":{"prompt_tokens":8,"total_tokens":8}}'
    handler = ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    const earlier = await scrape()
    await post(sidecar.data, '/v1/embeddings')
    const name =
      'gen_ai_client_token_usage_sum{gen_ai_operation_name="embeddings",gen_ai_request_model="e5",gen_ai_token_type="input"}'
    assert.equal((await observed(earlier)).get(name), 8)
  })

  test('feedback finds the answer by the id in a compressed stream', async () => {
    const events =
      'data: {"id":"chatcmpl-zipped","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    handler = async ({ request, response }) => {
      await request.body
      response.writeHead(200, { 'content-type': SSE_TYPE, 'content-encoding': 'gzip' }).end(gzipSync(events))
    }
    assert.equal(await (await chat(sidecar.data, 'Why is grass green?')).text(), events)
    await until('the feedback to be taken', async () => {
      const response = await postFeedback(sidecar.data, { completion_id: 'chatcmpl-zipped', rating: 'up' })
      return response.status === 202 && ((await response.json()) as { status: string }).status === 'accepted'
    })
  })

  test('case 38: two answers with one id are both observed, so that feedback by that id is refused', async () => {
    const answer = '{"id":"chatcmpl-998","model":"m","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    handler = async ({ request, response }) => {
      await request.body
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
    }
    for (const question of ['Why is snow white?', 'Why is coal black?']) {
      assert.equal(await (await chat(sidecar.data, question)).text(), answer)
    }
    await until('the id to be ambiguous', async () => {
      const response = await postFeedback(sidecar.data, { completion_id: 'chatcmpl-998', rating: 'down' })
      await response.body?.cancel()
      return response.status === 409
    })
  })
})

suite('case 39: metric labels are bounded', () => {
  test('a thousand models are twenty and the rest', async () => {
    const answer = '{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    handler = async ({ request, response }) => {
      await request.body
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
    }
    const sent = Array.from({ length: 1_000 }, (_, index) => `model-${index}`)
    const earlier = await scrape()
    const results = await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let model = sent.pop(); model !== undefined; model = sent.pop()) {
          const response = await fetch(`${sidecar.data}/v1/chat/completions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: QUESTION.replace('M-7B', model),
            signal: AbortSignal.timeout(60_000),
          })
          if ((await response.text()) !== answer) return false
        }
        return true
      }),
    )
    assert.ok(results.every(Boolean))
    const count = 'gen_ai_client_operation_duration_seconds_count{'
    const total = (samples: Samples) =>
      [...samples].reduce((sum, [name, value]) => (name.startsWith(count) ? sum + value : sum), 0)
    const samples = await until('a thousand answers to be counted', async () => {
      const now = await scrape()
      return total(now) - total(earlier) === 1_000 ? now : undefined
    })
    const models = new Set([...samples.keys()].flatMap(name => /gen_ai_request_model="([^"]*)"/.exec(name)?.[1] ?? []))
    assert.equal(models.size, 21)
    assert.ok(models.has('other'))
    const series = [...samples.keys()].filter(name => name.startsWith('gen_ai_'))
    assert.ok(series.length < 21 * 100, `${series.length} series`)
  })

  test('every path has one of a few operations', () => {
    const paths: [path: string, operation: string][] = [
      ['/v1/chat/completions', 'chat'],
      ['/openai/deployments/x/chat/completions?api-version=2024', 'chat'],
      ['/api/chat', 'chat'],
      ['/v1/completions/', 'text_completion'],
      ['/v1/responses', 'responses'],
      ['/v1/messages?beta=true', 'messages'],
      ['/v1/threads/thread_1/messages', 'other'],
      ['/api/generate', 'generate'],
      ['/generate', 'generate'],
      ['/generate_stream', 'generate'],
      ['/v1/embeddings', 'embeddings'],
      ['/api/embed', 'embeddings'],
      ['/v1/rerank', 'other'],
      ['/', 'other'],
      ['', 'other'],
      [`/${'/'.repeat(60_000)}x`, 'other'],
    ]
    for (const [path, operation] of paths) assert.equal(operationOf(path), operation, path.slice(0, 80))
  })
})
