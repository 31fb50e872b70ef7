import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { until } from '../support/poll.ts'
import { chat, startTestSidecar } from '../support/sidecar.ts'
import {
  CHAT_BODY,
  CHAT_EVENTS,
  COMMENTED_EVENTS,
  CRLF_EVENTS,
  ERROR_BODY,
  ERROR_EVENTS,
  HUGE_BLOCK,
  NDJSON_LINES,
  startUpstream,
  type UpstreamMode,
} from '../support/upstream.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** One request with every byte of it chosen by the test. */
async function send(
  base: string,
  {
    method = 'POST',
    path = '/v1/chat/completions',
    headers = {},
    body,
  }: {
    method?: string
    path?: string
    headers?: Record<string, string | string[]>
    body?: string | Uint8Array | Readable
  },
): Promise<{ response: IncomingMessage; bytes: Buffer }> {
  const { hostname, port } = new URL(base)
  const request = httpRequest({ hostname, port, method, path, headers, agent: false })
  const responded = once(request, 'response')
  if (body instanceof Readable) body.pipe(request)
  else request.end(body)
  const [response] = (await responded) as [IncomingMessage]
  return { response, bytes: await buffer(response) }
}

async function pair(settings: Record<string, string> = {}) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream())
  const sidecar = parts.use(await startTestSidecar(upstream.url, settings))
  return { upstream, sidecar, data: sidecar.data, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

const QUESTION = '{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}]}'

suite('bytes in, bytes out', () => {
  const bodies: Record<string, string | Uint8Array> = {
    'unknown fields and big integers':
      '{"model":"m","vllm_xargs":{"n":12345678901234567890},"structured_outputs":{"z":1.0,"a":-0.0},"messages":[{"role":"user","content":"hi"}]}',
    'duplicate keys, odd spacing and escapes':
      '{ "model" :"m", "model":"n",\n "messages":[{"role":"user","content":"\\u00fc \\ud83d\\ude42 \\/"}] }\n',
    'invalid JSON': '{"model": "m", "messages": [',
    'bytes that are not UTF-8': Uint8Array.of(0xff, 0xfe, 0x00, 0x80, 0x7b),
    'an empty body': '',
    'JSON that is no object': '[1,2,3]',
    'a question in an unexpected shape': '{"model":7,"messages":{"role":"user"}}',
  }
  for (const [name, body] of Object.entries(bodies)) {
    for (const path of ['/v1/chat/completions', '/v1/anything']) {
      test(`case 4, case 25: ${name} reaches the upstream unchanged at ${path}`, async () => {
        await using run = await pair()
        run.upstream.mode = 'echo'
        const { response, bytes } = await send(run.data, {
          path,
          headers: { 'content-type': 'application/json' },
          body,
        })
        assert.equal(response.statusCode, 200)
        const seen = JSON.parse(bytes.toString())
        assert.equal(seen.sha256, sha256(Buffer.from(body)))
        assert.equal(seen.url, path)
      })
    }
  }

  for (const type of ['text/plain', 'application/octet-stream', 'multipart/form-data; boundary=x', undefined]) {
    test(`case 25, case 27: a body of type ${type} that arrives in chunks reaches the upstream unchanged`, async () => {
      await using run = await pair()
      run.upstream.mode = 'echo'
      const body = Buffer.concat(Array.from({ length: 40 }, () => HUGE_BLOCK))
      const { bytes } = await send(run.data, {
        path: '/v1/files',
        headers: type === undefined ? {} : { 'content-type': type },
        body: Readable.from([body.subarray(0, 1_000_003), body.subarray(1_000_003)]),
      })
      assert.equal(JSON.parse(bytes.toString()).sha256, sha256(body))
    })
  }

  test('a question larger than advice reads passes unchanged and without advice', async () => {
    await using run = await pair({ QIS_ADVICE_BODY_BYTES: '2048' })
    run.upstream.mode = 'echo'
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(300_000) }] })
    const { response, bytes } = await send(run.data, { body, headers: { 'content-type': 'application/json' } })
    assert.equal(JSON.parse(bytes.toString()).sha256, sha256(Buffer.from(body)))
    assert.equal(response.headers['x-qis-receipt'], undefined)
  })

  test('case 28: a compressed request body passes unchanged', async () => {
    await using run = await pair()
    run.upstream.mode = 'echo'
    const body = Buffer.from('H4sIAAAAAAAAA6tWSs7PLShKLS5OTVGyUqrVUcpNLE5RslIqSS0uUaoFAA==', 'base64')
    const { bytes } = await send(run.data, {
      body,
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    })
    const seen = JSON.parse(bytes.toString())
    assert.equal(seen.sha256, sha256(body))
    assert.ok(seen.rawHeaders.includes('gzip'))
  })

  const answers: [UpstreamMode, string][] = [
    ['ok', CHAT_BODY],
    ['stream', CHAT_EVENTS.join('')],
    ['stream-crlf', CRLF_EVENTS.join('')],
    ['stream-split', CRLF_EVENTS.join('')],
    ['stream-comments', COMMENTED_EVENTS.join('')],
    ['stream-error', ERROR_EVENTS.join('')],
    ['ndjson', NDJSON_LINES.join('')],
  ]
  for (const [mode, expected] of answers) {
    test(`case 7, case 8, case 10: an answer of kind ${mode} reaches the client unchanged`, async () => {
      await using run = await pair()
      run.upstream.mode = mode
      const { response, bytes } = await send(run.data, {
        body: QUESTION,
        headers: { 'content-type': 'application/json' },
      })
      assert.equal(response.statusCode, 200)
      assert.equal(bytes.toString(), expected)
    })
  }

  for (const mode of ['gzip', 'stream-gzip'] as const) {
    test(`case 11: an answer of kind ${mode} is neither unpacked nor packed again`, async () => {
      await using run = await pair()
      run.upstream.mode = mode
      const direct = await send(run.upstream.url, { body: QUESTION })
      const proxied = await send(run.data, { body: QUESTION, headers: { 'content-type': 'application/json' } })
      assert.equal(proxied.response.headers['content-encoding'], 'gzip')
      assert.deepEqual(proxied.bytes, direct.bytes)
    })
  }

  test('case 22, case 23: the status, headers and cookies of the upstream are kept, and only x-qis-* are added', async () => {
    await using run = await pair()
    for (const mode of ['cookies', 'error-429', 'redirect', 'ok'] as const) {
      run.upstream.mode = mode
      const direct = await send(run.upstream.url, { body: QUESTION })
      const proxied = await send(run.data, { body: QUESTION, headers: { 'content-type': 'application/json' } })
      assert.equal(proxied.response.statusCode, direct.response.statusCode)
      assert.deepEqual(proxied.bytes, direct.bytes)
      const ignored = ['date', 'connection', 'keep-alive']
      const kept = Object.entries(proxied.response.headers).filter(([name]) => !name.startsWith('x-qis-'))
      const without = (entries: [string, unknown][]) =>
        Object.fromEntries(entries.filter(([name]) => !ignored.includes(name)))
      assert.deepEqual(without(kept), without(Object.entries(direct.response.headers)))
    }
  })

  test('case 10: an error before the stream keeps its status, its retry-after and its body', async () => {
    await using run = await pair()
    run.upstream.mode = 'error-429'
    const { response, bytes } = await send(run.data, {
      body: QUESTION,
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(response.statusCode, 429)
    assert.equal(response.headers['retry-after'], '7')
    assert.equal(bytes.toString(), ERROR_BODY)
    assert.equal(response.headers['x-qis-receipt'], undefined, 'an error is no answer to be rated')
  })

  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']) {
    test(`case 29: ${method} with an encoded path and a query string reaches the upstream as it is`, async () => {
      await using run = await pair()
      run.upstream.mode = 'echo'
      const path = '/v1/files/a%2Fb%20c?x=1&x=2&empty=&z=%2F'
      const body = ['PUT', 'PATCH', 'PROPFIND', 'QUERY'].includes(method) ? 'abc' : undefined
      const headers = { 'content-type': 'text/x-odd' }
      const { response, bytes } = await send(run.data, { method, path, ...(body !== undefined && { body, headers }) })
      const seen = await run.upstream.nextRequest()
      assert.equal(response.statusCode, 200)
      assert.equal(seen.method, method)
      assert.equal(seen.url, path)
      assert.equal(bytes.length > 0, method !== 'HEAD')
      assert.equal((await seen.body).bytes.toString(), body ?? '')
    })
  }

  test("the upstream's own /metrics, /health and /qis answer", async () => {
    await using run = await pair()
    run.upstream.mode = 'echo'
    for (const path of ['/metrics', '/health', '/', '/qis']) {
      const { bytes } = await send(run.data, { method: 'GET', path })
      assert.equal(JSON.parse(bytes.toString()).url, path)
    }
  })

  test('a 503 is handed on at once and not asked for again', async () => {
    await using upstream = await startUpstream({
      handler: ({ response }) => void response.writeHead(503, { 'retry-after': '1' }).end('busy'),
    })
    await using sidecar = await startTestSidecar(upstream.url)
    const { response, bytes } = await send(sidecar.data, { method: 'GET', path: '/v1/models' })
    assert.equal(response.statusCode, 503)
    assert.equal(bytes.toString(), 'busy')
    assert.equal(upstream.requests.length, 1)
  })
})

suite('headers', () => {
  test('case 22, case 24: what the client says to us is not passed on, forged advice is replaced, hop-by-hop headers end here', async () => {
    await using run = await pair()
    run.upstream.mode = 'echo'
    const { bytes } = await send(run.data, {
      body: QUESTION,
      headers: {
        'content-type': 'application/json',
        'x-qis-domain': 'clinical',
        'x-qis-confidence': '0.99',
        authorization: 'Bearer upstream-secret',
        connection: 'x-private, keep-alive',
        'x-private': '1',
        te: 'trailers',
        expect: '100-continue',
        'user-agent': 'test/1',
      },
    })
    const { rawHeaders } = JSON.parse(bytes.toString()) as { rawHeaders: string[] }
    const names = rawHeaders.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase())
    for (const gone of ['x-qis-domain', 'x-qis-confidence', 'x-private', 'te', 'expect'])
      assert.ok(!names.includes(gone), gone)
    assert.equal(
      rawHeaders[rawHeaders.findIndex(name => name.toLowerCase() === 'authorization') + 1],
      'Bearer upstream-secret',
    )
    assert.ok(names.includes('x-qis-request-id'))
  })

  test('QIS_UPSTREAM_HEADERS=off sends the upstream none of ours', async () => {
    await using run = await pair({ QIS_UPSTREAM_HEADERS: 'off' })
    run.upstream.mode = 'echo'
    const { bytes, response } = await send(run.data, {
      body: QUESTION,
      headers: { 'content-type': 'application/json' },
    })
    assert.ok(!bytes.toString().includes('x-qis'))
    assert.ok(response.headers['x-qis-request-id'])
  })

  test('our headers are exposed to a browser exactly when the upstream allows one', async () => {
    await using upstream = await startUpstream({
      handler: ({ response }) =>
        void response
          .writeHead(200, { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'x-request-id' })
          .end('{}'),
    })
    await using sidecar = await startTestSidecar(upstream.url)
    const exposed = (await chat(sidecar.data, 'hello')).headers.get('access-control-expose-headers')
    assert.match(exposed ?? '', /^x-request-id, x-qis-version, x-qis-request-id, x-qis-receipt$/)
    await using plain = await pair()
    assert.equal((await chat(plain.data, 'hello')).headers.get('access-control-expose-headers'), null)
  })

  test('an opted-out request gets no header, no receipt, and leaves no trace', async () => {
    await using run = await pair()
    const response = await chat(run.data, 'What is the capital of France?', { 'x-qis-opt-out': '1' })
    await response.text()
    assert.deepEqual(
      [...response.headers.keys()].filter(name => name.startsWith('x-qis-')),
      [],
    )
    const metrics = await (await fetch(`${run.sidecar.admin}/metrics`)).text()
    assert.match(metrics, /qis_advice_total\{result="opted_out",evidence="none"\} 1/)
  })
})

suite('streams', () => {
  test('case 6: each event is handed on as it comes, and the headers before the first', async () => {
    await using run = await pair()
    run.upstream.mode = 'stream-gated'
    const response = await chat(run.data, 'hello')
    const seen = await run.upstream.nextRequest()
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    assert.ok(reader)
    for (const event of CHAT_EVENTS) {
      seen.release()
      const { value } = await reader.read()
      assert.equal(value, event)
    }
    assert.equal((await reader.read()).done, true)
  })

  for (const mode of ['death-mid-stream', 'death-after-headers', 'short-body'] as const) {
    test(`case 9: an upstream that dies (${mode}) is a broken stream, never a clean end`, async () => {
      await using run = await pair()
      run.upstream.mode = mode
      const response = await chat(run.data, 'hello')
      assert.equal(response.status, 200)
      await assert.rejects(response.text())
    })
  }

  test('case 14: a slow client holds the upstream back', async () => {
    await using run = await pair()
    const length = 256 * 1024 * 1024
    const { hostname, port } = new URL(run.data)
    const socket = connect({ host: hostname, port: Number(port) })
    socket.write(`GET /mode/huge HTTP/1.1\r\nhost: x\r\nx-test-bytes: ${length}\r\n\r\n`)
    const seen = await run.upstream.nextRequest()
    let last = -1
    await until(
      'the upstream to stall',
      () => {
        const stalled = seen.bytesSent === last && last > 0
        last = seen.bytesSent
        return stalled
      },
      { everyMs: 200 },
    )
    assert.ok(seen.bytesSent < length / 4, `${seen.bytesSent} bytes were taken from the upstream`)
    socket.destroy()
    assert.equal((await seen.closed).aborted, true)
  })
})

suite('a client that leaves stops the upstream', () => {
  const windows: [string, UpstreamMode, (run: Awaited<ReturnType<typeof pair>>) => Promise<void>][] = [
    ["case 2, case 16: before the upstream's headers", 'never', async () => {}],
    ['case 17: before the first event', 'stream-gated', async () => {}],
    ['case 18: mid-stream', 'stream-gated', async run => run.upstream.requests[0]?.release()],
  ]
  for (const [name, mode, reach] of windows) {
    test(name, async () => {
      await using run = await pair()
      run.upstream.mode = mode
      const leaving = new AbortController()
      const asked = fetch(`${run.data}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: QUESTION,
        signal: leaving.signal,
      })
      asked.catch(() => {})
      const seen = await run.upstream.nextRequest()
      await seen.body
      await reach(run)
      const leftAt = performance.now()
      leaving.abort()
      assert.equal((await seen.closed).aborted, true)
      assert.ok((seen.abortedAt ?? Number.POSITIVE_INFINITY) - leftAt < 10_000)
      await until('the metric', async () =>
        /qis_clients_left_total 1/.test(await (await fetch(`${run.sidecar.admin}/metrics`)).text()),
      )
    })
  }

  test('case 3: a healthy request is not aborted when its body has been read', async () => {
    await using run = await pair()
    run.upstream.mode = 'slow-first-byte'
    const asked = chat(run.data, 'hello')
    const seen = await run.upstream.nextRequest()
    await seen.body
    // Long enough for any signal tied to the request's own end to have fired.
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
    seen.release()
    assert.equal(await (await asked).text(), CHAT_BODY)
  })
})

suite('when the upstream fails', () => {
  test('case 33: an upstream that is down is a 502 in the shape of OpenAI, with a code', async () => {
    const upstream = await startUpstream()
    await upstream[Symbol.asyncDispose]()
    await using sidecar = await startTestSidecar(upstream.url)
    const response = await chat(sidecar.data, 'hello')
    assert.equal(response.status, 502)
    const { error } = (await response.json()) as { error: Record<string, unknown> }
    assert.equal(error.code, 'upstream_unreachable')
    assert.equal(error.type, 'server_error')
    assert.equal(error.param, null)
    assert.match(String(error.message), /cannot be reached/)
  })

  test('case 33: an upstream that hangs up before it answers is a 502', async () => {
    await using run = await pair()
    run.upstream.mode = 'drop'
    const response = await chat(run.data, 'hello')
    assert.equal(response.status, 502)
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'upstream_failed')
    assert.equal(run.upstream.requests.length, 1, 'a request that may have been acted on is not sent twice')
  })

  test('case 5: QIS_FIRST_BYTE_TIMEOUT_MS is a 504, and does not limit how long an answer may last', async () => {
    await using run = await pair({ QIS_FIRST_BYTE_TIMEOUT_MS: '1000' })
    run.upstream.mode = 'never'
    const response = await chat(run.data, 'hello')
    assert.equal(response.status, 504)
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'upstream_timeout')
  })

  test('case 5: QIS_IDLE_TIMEOUT_MS breaks an answer that has stalled', async () => {
    await using run = await pair({ QIS_IDLE_TIMEOUT_MS: '1000' })
    run.upstream.mode = 'stream-gated'
    const response = await chat(run.data, 'hello')
    ;(await run.upstream.nextRequest()).release()
    await assert.rejects(response.text())
  })
})
