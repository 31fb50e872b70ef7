/** The ways in which the test upstream answers and misbehaves, one line each, and the very bytes they send. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip, gzipSync } from 'node:zlib'
import type { UpstreamRequest } from './upstream-record.ts'

export interface Exchange {
  incoming: IncomingMessage
  response: ServerResponse
  request: UpstreamRequest
  /** Resolves once for each `request.release()`; rejects when the exchange has ended. */
  released(): Promise<void>
}

export type UpstreamHandler = (exchange: Exchange) => void | Promise<void>

/** A chat completion with what re-serialising would change: big integers, floats, escapes, a duplicate key. */
export const CHAT_BODY = String.raw`{"id":"chatcmpl-7","object":"chat.completion","created":1735689600,"model":"m","big":12345678901234567890,"one":1.0,"zero":-0.0,"x":1,"x":2,"choices":[{"index":0,"message":{"role":"assistant","content":"Gr\u00fc\u00dfe aus Zürich 🙂"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9}}`

const WORDS = ['Grüße', ' aus', ' Zürich', ' 🙂']

function chunk(rest: string): string {
  return `{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1735689600,"model":"m",${rest}}`
}

function choice(delta: string, finish: string): string {
  return chunk(`"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]`)
}

const DATA = [
  choice('{"role":"assistant","content":""}', 'null'),
  ...WORDS.map(word => choice(JSON.stringify({ content: word }), 'null')),
  choice('{}', '"stop"'),
  chunk('"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":4,"total_tokens":8}'),
  '[DONE]',
]

/** A chat completion as server-sent events, one string for each. */
export const CHAT_EVENTS = DATA.map(data => `data: ${data}\n\n`)
/** The same with CRLF, and with and without the space that may follow the colon. */
export const CRLF_EVENTS = DATA.map((data, index) => `data:${index % 2 ? '' : ' '}${data}\r\n\r\n`)
/** The same among comments, event names, ids, retry times and an event of several data lines. */
export const COMMENTED_EVENTS = [
  ': ping\n\n',
  'retry: 3000\n\n',
  ...DATA.flatMap((data, index) => [`event: message\nid: ${index}\ndata: ${data}\n\n`, ': ping\n\n']),
  'data: two\ndata: lines\n\n',
]
export const ERROR_EVENTS = [
  'data: {"error":{"message":"the model fell over","type":"server_error","param":null,"code":null}}\n\n',
  'data: [DONE]\n\n',
]
/** As Ollama's own API streams. */
export const NDJSON_LINES = [
  ...WORDS.map(word => `{"model":"m","message":{"role":"assistant","content":"${word}"},"done":false}\n`),
  '{"model":"m","message":{"role":"assistant","content":""},"done":true,"prompt_eval_count":4,"eval_count":4}\n',
]
export const ERROR_BODY = '{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit"}}'
/** `huge` repeats this until it has sent as many bytes as `x-test-bytes` says, 64 MiB unless told. */
export const HUGE_BLOCK = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31 + (index >> 8)) & 0xff))
const HUGE_BYTES = 64 * 1024 * 1024

const JSON_TYPE = { 'content-type': 'application/json' }
const SSE_TYPE = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }
const NDJSON_TYPE = { 'content-type': 'application/x-ndjson' }

export const upstreamModes = {
  ok: send(200, JSON_TYPE, CHAT_BODY),
  stream: stream(SSE_TYPE, CHAT_EVENTS),
  /** Each event waits for a `release`. */
  'stream-gated': stream(SSE_TYPE, CHAT_EVENTS, { gated: true }),
  'stream-crlf': stream(SSE_TYPE, CRLF_EVENTS),
  'stream-comments': stream(SSE_TYPE, COMMENTED_EVENTS),
  /** Every byte in a chunk of its own, so that characters of several bytes and CRLF are torn apart. */
  'stream-split': stream(
    SSE_TYPE,
    [...Buffer.from(CRLF_EVENTS.join(''))].map(byte => Buffer.of(byte)),
  ),
  /** Status 200, but its first event is an error. */
  'stream-error': stream(SSE_TYPE, ERROR_EVENTS),
  'stream-gzip': stream({ ...SSE_TYPE, 'content-encoding': 'gzip' }, CHAT_EVENTS, { gzip: true }),
  'stream-gzip-gated': stream({ ...SSE_TYPE, 'content-encoding': 'gzip' }, CHAT_EVENTS, { gzip: true, gated: true }),
  ndjson: stream(NDJSON_TYPE, NDJSON_LINES),
  'ndjson-gated': stream(NDJSON_TYPE, NDJSON_LINES, { gated: true }),
  /** Nothing, headers included, before a `release`. */
  'slow-first-byte': async exchange => {
    await exchange.released()
    await send(200, JSON_TYPE, CHAT_BODY)(exchange)
  },
  never: () => {},
  /** The socket dies before the first byte. */
  drop: ({ response }) => void response.destroy(),
  /** The socket dies after the headers. */
  'death-after-headers': die(SSE_TYPE, ''),
  /** The socket dies after two events. */
  'death-mid-stream': die(SSE_TYPE, CHAT_EVENTS.slice(0, 2).join('')),
  /** The socket dies after half of what `content-length` promised. */
  'short-body': die({ ...JSON_TYPE, 'content-length': 2 * CHAT_BODY.length }, CHAT_BODY),
  'error-429': send(429, { ...JSON_TYPE, 'retry-after': '7', 'x-request-id': 'req-7' }, ERROR_BODY),
  gzip: send(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }, gzipSync(CHAT_BODY)),
  cookies: send(200, { ...JSON_TYPE, 'set-cookie': ['a=1; Path=/', 'b=2; HttpOnly'] }, CHAT_BODY),
  redirect: send(307, { location: '/mode/echo' }, ''),
  trailers: ({ response }) => {
    response.writeHead(200, { ...JSON_TYPE, trailer: 'x-checksum' })
    response.write(CHAT_BODY)
    response.addTrailers({ 'x-checksum': 'abc' })
    response.end()
  },
  huge: async ({ incoming, response }) => {
    const length = Number(incoming.headers['x-test-bytes'] ?? HUGE_BYTES)
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length })
    await pipeline(Readable.from(repeat(HUGE_BLOCK, length)), response)
  },
  /** Tells what arrived, as JSON. */
  echo: async ({ request, response }) => {
    const { method, url, rawHeaders, body } = request
    const { length, sha256, rawTrailers } = await body
    response.writeHead(200, JSON_TYPE)
    response.end(JSON.stringify({ method, url, rawHeaders, length, sha256, rawTrailers }))
  },
} satisfies Record<string, UpstreamHandler>

export type UpstreamMode = keyof typeof upstreamModes

export function isUpstreamMode(name: string): name is UpstreamMode {
  return Object.hasOwn(upstreamModes, name)
}

/** Waits for the request to have arrived, as servers do that parse it. */
function send(status: number, headers: OutgoingHttpHeaders, body: string | Buffer): UpstreamHandler {
  return async ({ request, response }) => {
    await request.body
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
  }
}

function stream(
  headers: OutgoingHttpHeaders,
  parts: readonly (string | Buffer)[],
  { gated = false, gzip = false } = {},
): UpstreamHandler {
  return async ({ request, response, released }) => {
    await request.body
    response.writeHead(200, headers)
    response.flushHeaders()
    const source = Readable.from(
      (async function* () {
        for (const part of parts) {
          if (gated) await released()
          yield part
        }
      })(),
    )
    if (gzip) await pipeline(source, createGzip({ flush: constants.Z_SYNC_FLUSH }), response)
    else await pipeline(source, response)
  }
}

function die(headers: OutgoingHttpHeaders, body: string): UpstreamHandler {
  return async ({ request, response }) => {
    await request.body
    response.writeHead(200, headers)
    response.flushHeaders()
    if (body !== '') await new Promise(resolve => response.write(body, resolve))
    response.destroy()
  }
}

function* repeat(block: Buffer, length: number): Generator<Buffer> {
  for (let sent = 0; sent < length; sent += block.length) yield block.subarray(0, length - sent)
}
