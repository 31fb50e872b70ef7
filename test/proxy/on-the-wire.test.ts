/** What passes is compared as bytes on sockets, since HTTP libraries at either end would tidy up what they are shown. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { startTestSidecar } from '../support/sidecar.ts'

interface WireUpstream extends AsyncDisposable {
  url: string
  /** The last request, whole. */
  seen(): string
}

/** Answers each connection's first request with these bytes, and keeps what was sent. */
async function startWireUpstream(answer: string): Promise<WireUpstream> {
  let seen = ''
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => undefined)
    socket.on('data', bytes => {
      received += bytes.toString('latin1')
      if (!isWhole(received)) return
      seen = received
      socket.end(Buffer.from(answer, 'latin1'))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: () => seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function isWhole(request: string): boolean {
  const end = request.indexOf('\r\n\r\n')
  if (end === -1) return false
  const body = request.slice(end + 4)
  if (/\r\ntransfer-encoding: chunked/i.test(request.slice(0, end))) return body.endsWith('0\r\n\r\n')
  return body.length >= Number(/\r\ncontent-length: (\d+)/i.exec(request)?.[1] ?? 0)
}

async function send(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(Buffer.from(request, 'latin1'))
  socket.setEncoding('latin1')
  return text(socket)
}

/** Lines of a head without those that are each connection's own, and without ours. */
const lines = (message: string) =>
  message
    .slice(0, message.indexOf('\r\n\r\n'))
    .split('\r\n')
    .filter(line => !/^(?:host|connection|keep-alive|transfer-encoding|x-qis-[a-z-]+):/i.test(line))
const bodyOf = (message: string) => message.slice(message.indexOf('\r\n\r\n') + 4)

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

suite('hard case 25: on the wire', () => {
  const requests: Record<string, string> = {
    'dots in a path': 'GET /a/../b/./c HTTP/1.1\r\n',
    'encoded dots in a path': 'GET /v1/%2e%2e/%2E%2e/x HTTP/1.1\r\n',
    'an encoding that is none': 'GET /v1/%zz/%/x%c3 HTTP/1.1\r\n',
    'two slashes': 'GET //v1//models// HTTP/1.1\r\n',
    'a backslash and a semicolon': 'GET /v1\\models;a=b HTTP/1.1\r\n',
    'a query string of any kind': 'GET /v1/models?a=b&&c=%zz&d[]=?/../e&&#x HTTP/1.1\r\n',
    'a path much like one of ours': 'GET /qis HTTP/1.1\r\n',
    'headers in any case and number':
      'GET / HTTP/1.1\r\nX-One: 1\r\nx-ONE: 2\r\nX-Two: \r\naccept: */*\r\nCookie: a=b; c=d\r\n',
    'headers beyond ASCII': 'GET / HTTP/1.1\r\nx-name: caf\xe9 \xff\r\n',
    'a body on GET': 'GET /_search HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}',
    'a body on DELETE': 'DELETE /v1/files/1 HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde',
    'a type that is none': 'POST /v1/files HTTP/1.1\r\ncontent-type: ;;=\r\ncontent-length: 1\r\n\r\nx',
    'a POST of nothing': 'POST /v1/files HTTP/1.1\r\ncontent-length: 0\r\n',
    'a question': `POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\ncontent-length: 60\r\n\r\n${'{"model":"m","messages":[{"role":"user","content":"hello"}]}'}`,
    'a method that few know': 'PROPFIND /v1 HTTP/1.1\r\nDepth: 1\r\ncontent-length: 0\r\n',
  }
  for (const [name, request] of Object.entries(requests)) {
    test(`the upstream is sent ${name} as it came`, async () => {
      await using upstream = await startWireUpstream(OK)
      await using sidecar = await startTestSidecar(upstream.url)
      const [head, body] = request.includes('\r\n\r\n') ? request.split('\r\n\r\n') : [request.trimEnd(), '']
      const whole = `${head}\r\nhost: x\r\nconnection: close\r\n\r\n${body}`
      const answer = await send(sidecar.data, whole)
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
      assert.deepEqual(lines(upstream.seen()), lines(whole))
      assert.equal(bodyOf(upstream.seen()), body)
    })
  }

  const answers: Record<string, string> = {
    'a reason of its own': 'HTTP/1.1 200 Fine By Me\r\ncontent-length: 0\r\n\r\n',
    'no reason': 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n',
    'a status that few know': 'HTTP/1.1 299 Odd\r\ncontent-length: 3\r\n\r\nodd',
    'an error of its own': 'HTTP/1.1 529 Overloaded\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}',
    'headers in any case, order and number, without a date':
      'HTTP/1.1 200 OK\r\nServer: one\r\nX-B: 2\r\nx-a: 1\r\nX-B: 3\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Empty: \r\nContent-Length: 2\r\n\r\nok',
    'headers beyond ASCII': 'HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 2\r\n\r\nok',
    'an answer without content': 'HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n',
    'a date of its own': 'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n',
  }
  for (const [name, answer] of Object.entries(answers)) {
    test(`the client is given ${name}`, async () => {
      await using upstream = await startWireUpstream(answer)
      await using sidecar = await startTestSidecar(upstream.url)
      const given = await send(sidecar.data, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      assert.deepEqual(lines(given), lines(answer))
      assert.equal(bodyOf(given), bodyOf(answer))
    })
  }

  test('an answer that ends with its connection passes whole', async () => {
    await using upstream = await startWireUpstream('HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\nto the end')
    await using sidecar = await startTestSidecar(upstream.url)
    const answer = await send(sidecar.data, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert.match(bodyOf(answer), /^a\r\nto the end\r\n0\r\n\r\n$/)
  })
})
