/** However a client asks, nothing but the configured upstream is connected to, and what it is sent names no other server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listenRaw, sendRaw } from '../support/raw.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

/** `E` stands for the address of another server, which must see nothing. */
const TARGETS = [
  'GET http://E/ HTTP/1.1',
  'GET http://E HTTP/1.1',
  'GET http://E?a=b HTTP/1.1',
  'GET HTTP://E/v1/models HTTP/1.1',
  'GET https://E/ HTTP/1.1',
  'GET ftp://E/ HTTP/1.1',
  'GET ws://E/ HTTP/1.1',
  'GET http://user:password@E/ HTTP/1.1',
  'GET http://127.0.0.1@E/ HTTP/1.1',
  'GET http://E\\@127.0.0.1/ HTTP/1.1',
  'GET http://E#@127.0.0.1/ HTTP/1.1',
  'POST http://E/v1/chat/completions HTTP/1.1',
  'POST http://E/qis/feedback HTTP/1.1',
  'CONNECT E HTTP/1.1',
  'CONNECT http://E/ HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET //E/ HTTP/1.1',
  'GET ///E/ HTTP/1.1',
  'GET /\\E/ HTTP/1.1',
  'GET /@E/ HTTP/1.1',
  'GET /:@E/ HTTP/1.1',
  'GET /.E HTTP/1.1',
  'GET /http://E/ HTTP/1.1',
  'GET /http:%2f%2fE/ HTTP/1.1',
  'GET /%2f%2fE/ HTTP/1.1',
  'GET /..//E/ HTTP/1.1',
  'GET /?url=http://E/ HTTP/1.1',
  'GET /?upstream=http://E/&QIS_UPSTREAM=http://E/ HTTP/1.1',
  'GET /#@E/ HTTP/1.1',
  'GET /;@E/ HTTP/1.1',
  'GET /v1/realtime?model=http://E/ HTTP/1.1',
]
const HEADERS = [
  'Host: E',
  'Host: user@E',
  'Host: 127.0.0.1@E',
  'X-Forwarded-Host: E',
  'X-Forwarded-For: E',
  'X-Forwarded-Proto: http://E',
  'X-Forwarded-Server: E',
  'X-Forwarded-Port: 1',
  'Forwarded: host=E;proto=http;for=E',
  'X-Host: E',
  'X-Original-Host: E',
  'X-Original-URL: http://E/',
  'X-Rewrite-URL: http://E/',
  'X-HTTP-Host-Override: E',
  'X-Real-IP: E',
  'Referer: http://E/',
  'Origin: http://E',
  'Proxy: http://E',
  'Via: 1.1 E',
  'X-QIS-Upstream: http://E',
  'X-Upstream: http://E',
  'Upgrade: websocket\r\nConnection: Upgrade\r\nHost: E',
  'Upgrade: websocket\r\nConnection: Upgrade\r\nX-Forwarded-Host: E',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Forwarded-Host: E',
]

test('55 ways to name another server reach the configured one or nobody', async t => {
  await using other = await listenRaw('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  await using upstream = await startUpstream()
  upstream.server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 400 No\r\n\r\n'))
  await using sidecar = await startTestSidecar(upstream.url)
  const elsewhere = `127.0.0.1:${other.port}`
  const requests = [
    ...TARGETS.map(line => `${line}\r\nHost: x\r\n`),
    ...HEADERS.map(header => {
      const host = /(?:^|\n)Host:/i.test(header) ? '' : 'Host: x\r\n'
      return `GET /v1/models HTTP/1.1\r\n${host}${header}\r\n`
    }),
  ].map(head => head.replaceAll('E', elsewhere))
  assert.ok(requests.length >= 50)
  for (const head of requests) {
    await t.test(head.trim().replaceAll('\r\n', ' · '), async () => {
      const before = upstream.requests.length
      const closing = /^Connection:/im.test(head) ? '' : 'Connection: close\r\n'
      const body = head.startsWith('POST') ? 'Content-Length: 2\r\n\r\n{}' : '\r\n'
      const answer = await sendRaw(sidecar.data, `${head}${closing}${body}`)
      if (!head.startsWith('CONNECT')) assert.match(answer, /^HTTP\/1\.1 \d{3}/)
      for (const { url, headers } of upstream.requests.slice(before)) {
        assert.match(url, /^\//, 'a target that is a path')
        assert.equal(headers.host, new URL(upstream.url).host)
      }
    })
  }
  assert.equal(other.connections(), 0)
})

test('a websocket asked for as a proxy is, goes to the upstream by its path or nowhere', async () => {
  await using other = await listenRaw()
  await using upstream = await startUpstream()
  const upgrades: (string | undefined)[] = []
  upstream.server.on('upgrade', (request, socket) => {
    upgrades.push(request.url)
    socket.end('HTTP/1.1 400 No\r\n\r\n')
  })
  await using sidecar = await startTestSidecar(upstream.url)
  for (const target of [`http://127.0.0.1:${other.port}/x`, '/qis/feedback', '/v1/feedback', '/v1/realtime']) {
    await sendRaw(
      sidecar.data,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      { enough: received => received.includes('\r\n\r\n') },
    )
  }
  assert.deepEqual(upgrades, ['/v1/realtime'])
  assert.equal(other.connections(), 0)
})

test('a redirect is the client’s to follow', async t => {
  await using other = await listenRaw('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  const location = `http://127.0.0.1:${other.port}/`
  for (const status of [301, 302, 303, 307, 308]) {
    for (const several of [false, true]) {
      await t.test(`${status}${several ? ', with several upstreams' : ''}`, async () => {
        await using upstream = await startUpstream({
          handler: async ({ request, response }) => {
            await request.body
            response.writeHead(status, { location, refresh: `0; url=${location}` }).end()
          },
        })
        const settings: Record<string, string> = several
          ? { QIS_UPSTREAM: `${upstream.url} m, http://127.0.0.1:1 n` }
          : {}
        await using sidecar = await startTestSidecar(upstream.url, settings)
        const answer = await fetch(`${sidecar.data}/v1/chat/completions`, {
          method: 'POST',
          body: '{"model":"m","messages":[{"role":"user","content":"hello"}]}',
          headers: { 'content-type': 'application/json' },
          redirect: 'manual',
        })
        assert.equal(answer.status, status)
        assert.equal(answer.headers.get('location'), location)
      })
    }
  }
  assert.equal(other.connections(), 0)
})
