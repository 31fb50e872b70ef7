import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import {
  CHAT_BODY,
  CHAT_EVENTS,
  COMMENTED_EVENTS,
  CRLF_EVENTS,
  ERROR_EVENTS,
  HUGE_BLOCK,
  NDJSON_LINES,
  startUpstream,
  type UpstreamMode,
} from '../support/upstream.ts'

const DEADLINE_MS = 60_000

interface SendOptions {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
  agent?: Agent
}

/** Sends by node:http, which hides nothing; resolves when the headers have come. All must be over by the deadline. */
async function open(url: string, { body, ...options }: SendOptions = {}): Promise<IncomingMessage> {
  const outgoing = request(url, { agent: false, signal: AbortSignal.timeout(DEADLINE_MS), ...options })
  outgoing.end(body)
  const [response] = await once(outgoing, 'response')
  return response as IncomingMessage
}

/** By `data` events, for iterating would join chunks. */
async function read(response: IncomingMessage): Promise<{ chunks: Buffer[]; error: Error | undefined }> {
  const chunks: Buffer[] = []
  response.on('data', (part: Buffer) => chunks.push(part))
  const error = await once(response, 'end').then(
    () => undefined,
    error => error as Error,
  )
  return { chunks, error }
}

async function text(url: string, options?: SendOptions): Promise<string> {
  const { chunks, error } = await read(await open(url, options))
  assert.equal(error, undefined)
  return Buffer.concat(chunks).toString()
}

describe('test upstream', () => {
  const bodies: Partial<Record<UpstreamMode, string>> = {
    ok: CHAT_BODY,
    cookies: CHAT_BODY,
    trailers: CHAT_BODY,
    stream: CHAT_EVENTS.join(''),
    'stream-crlf': CRLF_EVENTS.join(''),
    'stream-split': CRLF_EVENTS.join(''),
    'stream-comments': COMMENTED_EVENTS.join(''),
    'stream-error': ERROR_EVENTS.join(''),
    ndjson: NDJSON_LINES.join(''),
  }
  for (const [mode, expected] of Object.entries(bodies)) {
    it(`sends the announced bytes in mode ${mode}`, async () => {
      await using upstream = await startUpstream({ mode: mode as UpstreamMode })
      assert.equal(await text(upstream.url, { method: 'POST', body: '{}' }), expected)
    })
  }

  it('chooses a mode by header, by path, by queue, and else by handler or setting', async () => {
    await using upstream = await startUpstream()
    upstream.queue('error-429', 'ndjson')
    assert.equal((await open(upstream.url)).statusCode, 429)
    assert.equal((await open(`${upstream.url}/mode/redirect/v1`)).statusCode, 307)
    assert.equal((await open(upstream.url)).headers['content-type'], 'application/x-ndjson')
    upstream.mode = 'redirect'
    assert.equal((await open(upstream.url)).statusCode, 307)
    assert.equal((await open(upstream.url, { headers: { 'x-test-mode': 'ok' } })).statusCode, 200)
    assert.equal((await open(`${upstream.url}/mode/unheard-of`)).statusCode, 500)

    await using handled = await startUpstream({ handler: ({ response }) => void response.writeHead(418).end() })
    assert.equal((await open(handled.url)).statusCode, 418)
    handled.queue('ok')
    assert.equal((await open(handled.url)).statusCode, 200)
  })

  it('records what it got, keeping the beginning and hashing all of it', async () => {
    await using upstream = await startUpstream({ keepBytes: 10 })
    const body = Buffer.alloc(300_000, 'qis')
    await text(`${upstream.url}/v1/x?a=b%2Fc`, { method: 'PATCH', body, headers: { 'X-Odd-Case': 'Yes' } })
    const seen = await upstream.nextRequest()
    assert.deepEqual([seen.method, seen.url, seen.headers['x-odd-case']], ['PATCH', '/v1/x?a=b%2Fc', 'Yes'])
    assert.ok(seen.rawHeaders.includes('X-Odd-Case'))
    const received = await seen.body
    assert.deepEqual(received.bytes, body.subarray(0, 10))
    assert.equal(received.sha256, createHash('sha256').update(body).digest('hex'))
    assert.deepEqual([received.length, received.complete], [300_000, true])
    assert.deepEqual(await seen.closed, { aborted: false })
    assert.equal(seen.abortedAt, undefined)
  })

  it('hands requests out in order of arrival, and stops waiting when told', async () => {
    await using upstream = await startUpstream()
    const first = upstream.nextRequest()
    await text(`${upstream.url}/1`)
    await text(`${upstream.url}/2`)
    assert.equal((await first).url, '/1')
    assert.equal((await upstream.nextRequest()).url, '/2')
    const reason = new Error('enough')
    await assert.rejects(upstream.nextRequest({ signal: AbortSignal.abort(reason) }), reason)
  })

  it('sends no byte of a slow first byte before it is released', async () => {
    await using upstream = await startUpstream({ mode: 'slow-first-byte' })
    const response = open(upstream.url)
    const seen = await upstream.nextRequest()
    await seen.body
    assert.equal(seen.bytesSent, 0)
    seen.release()
    assert.equal((await response).statusCode, 200)
  })

  for (const mode of ['stream-gated', 'ndjson-gated', 'stream-gzip-gated'] as const) {
    it(`sends one part for each release in mode ${mode}`, async () => {
      await using upstream = await startUpstream({ mode })
      const response = await open(upstream.url)
      const seen = await upstream.nextRequest()
      const parts = mode === 'ndjson-gated' ? NDJSON_LINES : CHAT_EVENTS
      const iterator = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
      for (const [index, part] of parts.entries()) {
        const before = seen.bytesSent
        seen.release()
        const { value } = await iterator.next()
        if (mode !== 'stream-gzip-gated') assert.equal(String(value), part, `part ${index}`)
        assert.ok(seen.bytesSent > before)
      }
      // Gzip has an end of its own to send.
      for (let result = await iterator.next(); !result.done; result = await iterator.next()) {
        assert.equal(mode, 'stream-gzip-gated')
      }
    })
  }

  it('tears characters and line ends apart in mode stream-split', async () => {
    await using upstream = await startUpstream({ mode: 'stream-split' })
    const { chunks } = await read(await open(upstream.url))
    assert.ok(chunks.every(part => part.length === 1))
  })

  for (const mode of ['gzip', 'stream-gzip'] as const) {
    it(`compresses in mode ${mode}`, async () => {
      await using upstream = await startUpstream({ mode })
      const response = await open(upstream.url)
      assert.equal(response.headers['content-encoding'], 'gzip')
      const { chunks } = await read(response)
      assert.equal(gunzipSync(Buffer.concat(chunks)).toString(), mode === 'gzip' ? CHAT_BODY : CHAT_EVENTS.join(''))
    })
  }

  for (const [mode, sent] of Object.entries({
    'death-after-headers': '',
    'death-mid-stream': CHAT_EVENTS.slice(0, 2).join(''),
    'short-body': CHAT_BODY,
  })) {
    it(`breaks off in mode ${mode}`, async () => {
      await using upstream = await startUpstream({ mode: mode as UpstreamMode })
      const response = await open(upstream.url)
      assert.equal(response.statusCode, 200)
      const { chunks, error } = await read(response)
      assert.equal(Buffer.concat(chunks).toString(), sent)
      assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET')
    })
  }

  it('drops the socket without a byte in mode drop', async () => {
    await using upstream = await startUpstream({ mode: 'drop' })
    await assert.rejects(open(upstream.url), { code: 'ECONNRESET' })
    assert.equal((await upstream.nextRequest()).bytesSent, 0)
  })

  it('sends trailers, two cookies, a retry-after and a redirect', async () => {
    await using upstream = await startUpstream()
    const trailers = await open(`${upstream.url}/mode/trailers`)
    await read(trailers)
    assert.deepEqual(trailers.trailers, { 'x-checksum': 'abc' })
    const cookies = await open(`${upstream.url}/mode/cookies`)
    assert.deepEqual(cookies.headers['set-cookie'], ['a=1; Path=/', 'b=2; HttpOnly'])
    assert.equal((await open(`${upstream.url}/mode/error-429`)).headers['retry-after'], '7')
    assert.equal((await open(`${upstream.url}/mode/redirect`)).headers.location, '/mode/echo')
  })

  it('tells what arrived in mode echo', async () => {
    await using upstream = await startUpstream({ mode: 'echo' })
    const echo = JSON.parse(await text(`${upstream.url}/a`, { method: 'PUT', body: 'qis', headers: { 'x-a': 'b' } }))
    assert.deepEqual([echo.method, echo.url, echo.length], ['PUT', '/a', 3])
    assert.equal(echo.sha256, createHash('sha256').update('qis').digest('hex'))
    assert.ok(echo.rawHeaders.includes('x-a'))
  })

  it('sends a huge body no faster than it is read', async () => {
    await using upstream = await startUpstream({ mode: 'huge' })
    const length = 64 * 1024 * 1024
    const response = await open(upstream.url)
    assert.equal(response.headers['content-length'], String(length))
    const seen = await upstream.nextRequest()
    let received = 0
    let most = 0
    for await (const part of response as AsyncIterable<Buffer>) {
      if (received === 0) {
        const start = HUGE_BLOCK.subarray(0, part.length)
        assert.deepEqual(part.subarray(0, start.length), start)
      }
      received += part.length
      most = Math.max(most, seen.bytesSent - received)
    }
    assert.equal(received, length)
    assert.ok(most < length / 2, `${most} bytes ahead of the reader`)
    const small = await open(upstream.url, { headers: { 'x-test-bytes': '100000' } })
    assert.equal(Buffer.concat((await read(small)).chunks).length, 100_000)
  })

  it('does not wait for ever to be left', async t => {
    t.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort(new Error('time is up')))
    await using upstream = await startUpstream({ mode: 'never' })
    const outgoing = request(upstream.url, { agent: false })
    outgoing.on('error', () => {})
    outgoing.end()
    const seen = await upstream.nextRequest({ signal: new AbortController().signal })
    await assert.rejects(seen.closed, /time is up/)
  })

  it('notices when the client leaves, whether it was answering or not', async () => {
    await using upstream = await startUpstream()
    for (const mode of ['never', 'stream-gated', 'slow-first-byte'] as const) {
      upstream.mode = mode
      const outgoing = request(upstream.url, { agent: false })
      outgoing.on('error', () => {})
      outgoing.end()
      const seen = await upstream.nextRequest()
      const left = performance.now()
      outgoing.destroy()
      assert.deepEqual(await seen.closed, { aborted: true })
      assert.ok((seen.abortedAt ?? 0) >= left)
      assert.ok((seen.socketClosedAt ?? 0) >= left)
    }
    assert.equal(upstream.sockets.open, 0)
  })

  it('tells an upload that broke off from a whole one', async () => {
    await using upstream = await startUpstream()
    const outgoing = request(upstream.url, { method: 'POST', agent: false, headers: { 'content-length': 10 } })
    outgoing.on('error', () => {})
    outgoing.write('half')
    const seen = await upstream.nextRequest()
    outgoing.destroy()
    const { complete, length } = await seen.body
    assert.equal(complete, false)
    assert.ok(length <= 4)
  })

  it('closes idle sockets early and unannounced when asked to, and not otherwise', async () => {
    const agent = new Agent({ keepAlive: true })
    await using patient = await startUpstream()
    await using hasty = await startUpstream({ closeIdleAfterMs: 20 })
    for (const { url } of [patient, hasty]) {
      const response = await open(url, { agent })
      assert.equal(response.headers['keep-alive'], undefined)
      const { socket } = response
      await read(response)
      if (url === hasty.url) await once(socket, 'close')
      await text(url, { agent })
    }
    assert.deepEqual([patient.sockets.opened, hasty.sockets.opened], [1, 2])
    assert.deepEqual(
      [...patient.requests, ...hasty.requests].map(seen => seen.socketNumber),
      [1, 1, 1, 2],
    )
    agent.destroy()
  })

  it('leaves nothing running when it is disposed of', async () => {
    const upstream = await startUpstream({ mode: 'never' })
    const outgoing = request(upstream.url, { agent: false })
    const failed = once(outgoing, 'error')
    outgoing.end()
    await upstream.nextRequest()
    await upstream[Symbol.asyncDispose]()
    await failed
    assert.equal(upstream.sockets.open, 0)
  })
})
