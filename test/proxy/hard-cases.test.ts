import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { until } from '../support/poll.ts'
import { chat, startTestSidecar } from '../support/sidecar.ts'
import { CHAT_EVENTS, HUGE_BLOCK, NDJSON_LINES, startUpstream, type UpstreamOptions } from '../support/upstream.ts'

async function pair(options: UpstreamOptions = {}, settings: Record<string, string> = {}) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream(options))
  const sidecar = parts.use(await startTestSidecar(upstream.url, settings))
  return { upstream, data: sidecar.data, admin: sidecar.admin, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')
const metric = async (admin: string, name: string) => {
  const page = await (await fetch(`${admin}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1] ?? Number.NaN)
}

/** What comes back on the wire, byte for byte. */
async function raw(data: string, request: string): Promise<string> {
  const { hostname, port } = new URL(data)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(request)
  return text(socket)
}

const post = (path: string, body: string, headers = '') =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`
const QUESTION = '{"model":"m","messages":[{"role":"user","content":"hello"}]}'

suite('streaming', () => {
  test('case 12: while a stream has not begun, comments keep balancers waiting, if that is switched on', async () => {
    await using run = await pair({ mode: 'stream-gated' }, { QIS_KEEP_ALIVE_COMMENT_MS: '20' })
    const response = await chat(run.data, 'hello')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    assert.ok(reader)
    assert.equal((await reader.read()).value?.slice(0, 14), ': keep-alive\n\n')
    ;(await run.upstream.nextRequest()).release(CHAT_EVENTS.length)
    let rest = ''
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) rest += chunk.value
    assert.equal(rest.replaceAll(': keep-alive\n\n', ''), CHAT_EVENTS.join(''))
    assert.ok(!rest.includes(`${CHAT_EVENTS[0]}: keep-alive`), 'none once the stream has begun')
  })

  test('case 12: no comment is sent unless it is switched on', async () => {
    await using run = await pair({ mode: 'stream-gated' })
    const response = await chat(run.data, 'hello')
    const seen = await run.upstream.nextRequest()
    // Longer than any comment would take to show in the test before this one.
    await new Promise(resolve => setTimeout(resolve, 60))
    seen.release(CHAT_EVENTS.length)
    assert.equal(await response.text(), CHAT_EVENTS.join(''))
  })

  test('case 13: lines of NDJSON are handed on as they come', async () => {
    await using run = await pair({ mode: 'ndjson-gated' })
    const response = await fetch(`${run.data}/api/chat`, {
      method: 'POST',
      body: '{"model":"m","messages":[{"role":"user","content":"hello"}]}',
    })
    const seen = await run.upstream.nextRequest()
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    assert.ok(reader)
    for (const line of NDJSON_LINES) {
      seen.release()
      assert.equal((await reader.read()).value, line)
    }
  })

  test('case 15, case 19: a thousand clients that vanish mid-stream leave nothing behind', async () => {
    await using run = await pair({ mode: 'stream-gated' })
    const vanish = async () => {
      const { hostname, port } = new URL(run.data)
      const socket = connect({ host: hostname, port: Number(port) })
      socket.write(post('/v1/chat/completions', QUESTION))
      await once(socket, 'data')
      socket.destroy()
    }
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 100 }, vanish))
    await until('the upstream to be rid of all of them', () => run.upstream.sockets.open === 0)
    assert.equal(run.upstream.requests.length, 1_000)
    assert.ok((await Promise.all(run.upstream.requests.map(({ closed }) => closed))).every(({ aborted }) => aborted))
    await until('all to be counted', async () => (await metric(run.admin, 'qis_clients_left_total')) === 1_000)
  })
})

suite('headers', () => {
  test('case 20: never both content-length and transfer-encoding', async () => {
    await using run = await pair()
    for (const mode of ['ok', 'stream', 'ndjson', 'gzip', 'stream-gzip', 'error-429', 'trailers', 'redirect']) {
      const answer = await raw(run.data, post('/v1/chat/completions', QUESTION, `x-test-mode: ${mode}\r\n`))
      const head = answer.slice(0, answer.indexOf('\r\n\r\n')).toLowerCase()
      const framings = ['content-length:', 'transfer-encoding:'].filter(name => head.includes(`\r\n${name}`))
      assert.equal(framings.length, 1, `${mode}: ${framings}`)
    }
  })

  test('case 21: an error of ours has no encoding of the upstream, and its own length', async () => {
    await using run = await pair({ mode: 'drop' })
    const response = await chat(run.data, 'hello', { 'accept-encoding': 'gzip' })
    assert.equal(response.status, 502)
    assert.equal(response.headers.get('content-encoding'), null)
    assert.equal(Number(response.headers.get('content-length')), (await response.arrayBuffer()).byteLength)
  })

  test("case 22: the upstream's hop-by-hop headers end here, all others stay", async () => {
    const stay = { 'retry-after': '7', 'x-request-id': 'r1', traceparent: '00-1-2-01', 'x-ratelimit-remaining': '3' }
    await using run = await pair({
      handler: ({ response }) =>
        void response
          .writeHead(200, {
            ...stay,
            connection: 'x-secret, close',
            'x-secret': '1',
            'proxy-connection': 'close',
            'set-cookie': ['a=1', 'b=2'],
          })
          .end('{}'),
    })
    const { headers } = await chat(run.data, 'hello')
    for (const [name, value] of Object.entries(stay)) assert.equal(headers.get(name), value)
    assert.deepEqual(headers.getSetCookie(), ['a=1', 'b=2'])
    for (const name of ['x-secret', 'proxy-connection']) assert.equal(headers.get(name), null)
  })

  test('case 22: trailers of an answer are handed on', async () => {
    await using run = await pair({ mode: 'trailers' })
    const answer = await raw(run.data, post('/v1/chat/completions', QUESTION))
    assert.match(answer, /^trailer: x-checksum\r$/im)
    assert.match(answer, /\r\n0\r\nx-checksum: abc\r\n\r\n$/)
    const direct = await raw(run.upstream.url, post('/v1/chat/completions', QUESTION))
    assert.match(direct, /\r\n0\r\nx-checksum: abc\r\n\r\n$/, 'as without us')
  })

  test('case 22: Expect: 100-continue is answered, and the body follows', async () => {
    await using run = await pair({ mode: 'echo' })
    const { hostname, port } = new URL(run.data)
    const request = httpRequest({ hostname, port, method: 'POST', path: '/v1/x', headers: { expect: '100-continue' } })
    request.flushHeaders()
    await once(request, 'continue')
    request.end('abc')
    const [response] = await once(request, 'response')
    assert.equal(JSON.parse(await text(response)).sha256, sha256('abc'))
  })

  test('headers of 40 KB are taken', async () => {
    await using run = await pair({ mode: 'echo' })
    const response = await chat(run.data, 'hello', { 'x-large': 'a'.repeat(40_000) })
    assert.equal(response.status, 200)
  })

  test('a content type that makes no sense is the upstream’s to judge', async () => {
    await using run = await pair({ mode: 'echo' })
    for (const type of ['bogus', 'application/json, application/json', '; charset=x', 'a/b/c']) {
      const answer = await raw(run.data, post('/v1/x', '{}').replace('application/json', type))
      assert.match(answer, /^HTTP\/1.1 200/, type)
      const seen = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1))
      assert.equal(seen.rawHeaders[seen.rawHeaders.indexOf('content-type') + 1], type)
    }
  })

  test('a redirect to the upstream’s own address stays with us, one to elsewhere is left alone', async () => {
    await using elsewhere = await pair({
      handler: ({ response }) => void response.writeHead(307, { location: 'https://example.org/a' }).end(),
    })
    await using home = await pair({
      handler: ({ incoming, response }) =>
        void response.writeHead(307, { location: `http://${incoming.headers.host}/v1/models?x=1` }).end(),
    })
    const location = async (data: string) =>
      (await fetch(`${data}/v1/models/`, { redirect: 'manual' })).headers.get('location')
    assert.equal(await location(home.data), '/v1/models?x=1')
    assert.equal(await location(elsewhere.data), 'https://example.org/a')
  })
})

suite('bodies', () => {
  test('case 25: whatever the bytes, both ways, at any path', async () => {
    await using run = await pair({
      // Gives back what it got, in another order, so that both directions are tried with the same bytes.
      handler: async ({ incoming, request, response }) => {
        const { bytes } = await request.body
        response.writeHead(200, { 'content-type': incoming.headers['content-type'] ?? 'application/octet-stream' })
        response.end(bytes)
      },
    })
    const json = fc.json().map(value => ({ type: 'application/json', body: Buffer.from(value) }))
    const chatBody = fc
      .record({ model: fc.string(), messages: fc.jsonValue(), extra: fc.jsonValue() })
      .map(value => ({ type: 'application/json; charset=utf-8', body: Buffer.from(JSON.stringify(value)) }))
    const bytes = fc
      .uint8Array({ maxLength: 4_096 })
      .map(value => ({ type: 'application/octet-stream', body: Buffer.from(value) }))
    const multipart = fc.uint8Array({ maxLength: 1_024 }).map(value => ({
      type: 'multipart/form-data; boundary=b',
      body: Buffer.concat([
        Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'),
        value,
        Buffer.from('\r\n--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n--b--\r\n'),
      ]),
    }))
    const paths = ['/v1/chat/completions', '/v1/completions', '/v1/audio/transcriptions', '/anything']
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(json, chatBody, bytes, multipart),
        fc.constantFrom(...paths),
        async ({ type, body }, path) => {
          const response = await fetch(run.data + path, { method: 'POST', headers: { 'content-type': type }, body })
          assert.equal(sha256(new Uint8Array(await response.arrayBuffer())), sha256(body))
          assert.equal((await run.upstream.requests.at(-1)?.body)?.sha256, sha256(body))
        },
      ),
      { numRuns: 150 },
    )
  })

  test('case 26: 20 MB of image with a question pass whole, and the question gets its advice', async () => {
    await using run = await pair({ mode: 'echo' })
    const image = HUGE_BLOCK.toString('base64').repeat(230)
    const content = [
      { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } },
      { type: 'text', text: 'What is in this picture?' },
    ]
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] })
    assert.ok(body.length > 20_000_000)
    const response = await fetch(`${run.data}/v1/chat/completions`, { method: 'POST', body })
    assert.equal(((await response.json()) as { sha256: string }).sha256, sha256(body))
    assert.ok(response.headers.get('x-qis-receipt'))
  })

  for (const framing of ['content-length', 'chunked']) {
    test(`case 26: QIS_MAX_BODY_BYTES is a clear 413 (${framing}), and what is below it passes`, async () => {
      await using run = await pair({ mode: 'echo' }, { QIS_MAX_BODY_BYTES: '100000' })
      const send = async (length: number) => {
        const bytes = Buffer.alloc(length, 'a')
        const body = framing === 'chunked' ? new Blob([bytes]).stream() : bytes
        return fetch(`${run.data}/v1/files`, { method: 'POST', body, duplex: 'half' } as RequestInit)
      }
      const refused = await send(100_001)
      assert.equal(refused.status, 413)
      const { error } = (await refused.json()) as { error: { code: string; message: string } }
      assert.equal(error.code, 'body_too_large')
      assert.match(error.message, /100000 bytes/)
      assert.equal((await send(100_000)).status, 200)
    })
  }

  test('case 27: an upload reaches the upstream while the client still sends it', async () => {
    const begun = Promise.withResolvers<void>()
    await using run = await pair({
      handler: async ({ incoming, request, response }) => {
        incoming.once('data', () => begun.resolve())
        response.end((await request.body).sha256)
      },
    })
    const { hostname, port } = new URL(run.data)
    const headers = { 'content-type': 'multipart/form-data; boundary=b' }
    const request = httpRequest({ hostname, port, method: 'POST', path: '/v1/audio/transcriptions', headers })
    request.write(HUGE_BLOCK)
    await begun.promise
    request.end('--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n--b--')
    const [response] = await once(request, 'response')
    const whole = Buffer.concat([
      HUGE_BLOCK,
      Buffer.from('--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper\r\n--b--'),
    ])
    assert.equal(await text(response), sha256(whole))
  })

  test('case 28: a compressed question passes as it is', async () => {
    await using run = await pair({ mode: 'echo' })
    const body = gzipSync(QUESTION)
    const response = await fetch(`${run.data}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body,
    })
    const seen = (await response.json()) as { sha256: string; rawHeaders: string[] }
    assert.equal(seen.sha256, sha256(body))
    assert.ok(seen.rawHeaders.includes('gzip'))
  })
})

suite('connections', () => {
  test('case 32: an offer of HTTP/2, as Java makes it with every request, is no WebSocket', async () => {
    await using run = await pair({ mode: 'echo' })
    const offer = 'upgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n'
    const request = post('/v1/chat/completions', QUESTION, offer)
    const answer = await raw(
      run.data,
      request.replace('connection: close', 'connection: close, upgrade, http2-settings'),
    )
    assert.match(answer, /^HTTP\/1.1 200 OK\r\n/)
    assert.ok(answer.includes(sha256(QUESTION)))
    assert.equal((await run.upstream.nextRequest()).headers.upgrade, undefined)
  })

  test('case 31: our own keep-alive outlasts 75 s', async () => {
    await using run = await pair()
    const response = await chat(run.data, 'hello')
    const seconds = Number(/timeout=(\d+)/.exec(response.headers.get('keep-alive') ?? '')?.[1])
    assert.ok(seconds > 75, `${seconds}`)
  })
})
