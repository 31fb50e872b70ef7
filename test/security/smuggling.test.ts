/** What one side takes for the end of a message the other must too: over raw sockets at both ends. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { until } from '../support/poll.ts'
import { listenRaw, openRaw, sendRaw } from '../support/raw.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const head = (...lines: string[]) => ['POST /v1/files HTTP/1.1', 'Host: x', ...lines].join('\r\n')
const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`

/** Messages of which two readers could disagree where they end; and that are refused. */
const AMBIGUOUS: Record<string, string> = {
  'a length and chunks': `${head('Content-Length: 4', 'Transfer-Encoding: chunked')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunks and a length': `${head('Transfer-Encoding: chunked', `Content-Length: ${5 + SMUGGLED.length}`)}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'two lengths': `${head('Content-Length: 0', `Content-Length: ${SMUGGLED.length}`)}\r\n\r\n${SMUGGLED}`,
  'two lengths in one': `${head(`Content-Length: 0, ${SMUGGLED.length}`)}\r\n\r\n${SMUGGLED}`,
  'a length with a sign': `${head(`Content-Length: +${SMUGGLED.length}`)}\r\n\r\n${SMUGGLED}`,
  'a negative length': `${head('Content-Length: -1')}\r\n\r\n${SMUGGLED}`,
  'a length in hex': `${head('Content-Length: 0x2a')}\r\n\r\n${SMUGGLED}`,
  'a length beyond all numbers': `${head('Content-Length: 99999999999999999999999')}\r\n\r\n${SMUGGLED}`,
  'a space before the colon': `${head('Transfer-Encoding : chunked')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'an encoding that is none': `${head('Transfer-Encoding: xchunked')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunked, then another encoding': `${head('Transfer-Encoding: chunked, identity')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'encodings on two lines': `${head('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a folded header': `${head('Transfer-Encoding:\r\n chunked')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a header that begins with a space': `${head(' Content-Length: 4')}\r\n\r\n${SMUGGLED}`,
  'a bare line feed in the head': `${head(`X: 1\nContent-Length: ${SMUGGLED.length}`)}\r\n\r\n${SMUGGLED}`,
  'a bare carriage return in the head': `${head('X: 1\rContent-Length: 4')}\r\n\r\n${SMUGGLED}`,
  'a zero byte in a header': `${head('X: a\0b')}\r\n\r\n`,
  'a chunk size that is none': `${head('Transfer-Encoding: chunked')}\r\n\r\nzz\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a chunk size with a sign': `${head('Transfer-Encoding: chunked')}\r\n\r\n+1\r\na\r\n0\r\n\r\n${SMUGGLED}`,
  'a chunk size beyond all numbers': `${head('Transfer-Encoding: chunked')}\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n`,
  'a chunk that is longer than it says': `${head('Transfer-Encoding: chunked')}\r\n\r\n1\r\nabc\r\n0\r\n\r\n`,
  'a chunk that ends with a line feed': `${head('Transfer-Encoding: chunked')}\r\n\r\n1\na\n0\n\n${SMUGGLED}`,
  'another encoding, then chunked': `${head('Transfer-Encoding: gzip, chunked')}\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'no host': 'GET / HTTP/1.1\r\n\r\n',
  'two hosts': 'GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n',
  'two hosts of a WebSocket':
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'no version': 'GET /smuggled\r\n\r\n',
  'a version that is none': 'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
  'a method with a colon': 'GE:T / HTTP/1.1\r\nHost: x\r\n\r\n',
}

suite('messages whose end is in doubt', () => {
  test('nothing hidden in one is ever a request, and each is refused', async t => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
      await t.test(name, async () => {
        assert.match(await sendRaw(sidecar.data, bytes), /^HTTP\/1\.1 400 /)
        assert.deepEqual(
          upstream.requests.filter(({ url }) => url === '/smuggled'),
          [],
        )
      })
    }
  })

  test('the admin listener takes neither two hosts, nor another encoding, nor a request without a version', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    for (const bytes of [
      'GET /qis/status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n',
      'POST /qis/advise HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      'GET /healthz\r\n\r\n',
    ]) {
      assert.match(await sendRaw(sidecar.admin, bytes), /^HTTP\/1\.1 400 .*"bad_request"/s)
    }
  })

  test('a sound message with another behind it are two, each with its own body', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const two = `${head('Transfer-Encoding: chunked')}\r\n\r\n${chunked('hello')}${head('Content-Length: 3', 'Connection: close')}\r\n\r\nbye`
    const answer = await sendRaw(sidecar.data, two)
    assert.equal(answer.match(/HTTP\/1\.1 200/g)?.length, 2)
    const bodies = await Promise.all(upstream.requests.map(async ({ body }) => (await body).bytes.toString()))
    assert.deepEqual(bodies, ['hello', 'bye'])
  })

  test('a body stays with its request when Connection or 3,000 other headers hide its length', async () => {
    await using upstream = await startUpstream()
    upstream.server.maxHeadersCount = 0
    await using sidecar = await startTestSidecar(upstream.url)
    const many = Array.from({ length: 3_000 }, (_, at) => `x${at}:1`)
    for (const lines of [
      ['Connection: close, content-length', 'Content-Length: 42'],
      [...many, 'Content-Length: 42', 'Connection: close'],
      [...many, 'Transfer-Encoding: chunked', 'Connection: close'],
    ]) {
      const body = SMUGGLED.padEnd(42, ' ')
      const sent = lines.includes('Transfer-Encoding: chunked') ? chunked(body) : body
      const answer = await sendRaw(sidecar.data, `${head(...lines)}\r\n\r\n${sent}`)
      assert.match(answer, /^HTTP\/1\.1 200/, lines.slice(-2).join())
      const request = await upstream.nextRequest()
      assert.equal((await request.body).bytes.toString(), body)
    }
    assert.equal(upstream.requests.length, 3)
  })
})

suite('headers', () => {
  test('of the connection go no further, whatever their case and however they are named', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const hop = [
      'Connection: keep-alive, X-Secret ,x-other,,Close',
      'Connection: x-third',
      'Keep-Alive: timeout=5',
      'Proxy-Authorization: Basic d2U6dXM=',
      'Proxy-Connection: keep-alive',
      'TE: trailers',
      'Trailer: x-a',
      'Upgrade: h2c',
      'X-Secret: 1',
      'X-Other: 1',
      'x-third: 1',
    ]
    await sendRaw(sidecar.data, `GET /a HTTP/1.1\r\nHost: x\r\n${hop.join('\r\n')}\r\nX-Kept: 1\r\n\r\n`)
    const { rawHeaders } = await upstream.nextRequest()
    const names = rawHeaders.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase())
    assert.deepEqual(names.toSorted(), ['connection', 'host', 'x-kept'])
  })

  test('cannot be added by what a client says of its request', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const values = ['a%0d%0aX-Evil: 1', 'a\\r\\nX-Evil: 1', 'caf\xe9\x85X-Evil: 1', 'a\u2028X-Evil: 1']
    const body = '{"model":"m\\r\\nX-Evil: 1","messages":[{"role":"user","content":"hello\\r\\nX-Evil: 1"}]}'
    for (const value of values) {
      const bytes = [
        'POST /v1/chat/completions?a=%0d%0aX-Evil:%201 HTTP/1.1',
        'Host: x',
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        ...['Domain', 'Strategy', 'Self-Confidence', 'Debug', 'Opt-Out'].map(name => `X-QIS-${name}: ${value}`),
        'X-QIS-Debug: 1',
      ].join('\r\n')
      const answer = await sendRaw(sidecar.data, `${bytes}\r\n\r\n${body}`)
      assert.match(answer, /^HTTP\/1\.1 200/)
      assert.ok(!/^x-evil:/im.test(answer))
      const { rawHeaders } = await upstream.nextRequest()
      assert.ok(!rawHeaders.some(name => /^x-evil$/i.test(name)))
    }
  })

  test('an answer that is no HTTP, or hides a second answer, is a 502 or ends there', async () => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 60\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok',
      'HTTP/1.1 200 O\x00K\r\ncontent-length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nok',
      'nonsense\r\n\r\n',
      `HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(50)}\r\n`.repeat(2_000)}\r\n`,
    ]
    for (const answer of answers) {
      await using upstream = await listenRaw(answer)
      await using sidecar = await startTestSidecar(`http://127.0.0.1:${upstream.port}`)
      const given = await sendRaw(sidecar.data, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      assert.match(given, /^HTTP\/1\.1 502/, answer.slice(0, 60))
    }
    await using upstream = await listenRaw('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 Hidden\r\n\r\n')
    await using sidecar = await startTestSidecar(`http://127.0.0.1:${upstream.port}`)
    const ask = () => sendRaw(sidecar.data, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    for (let times = 0; times < 3; times++) assert.ok(!(await ask()).includes('Hidden'))
  })
})

suite('sizes and time', () => {
  test('a head beyond 64 KiB is refused with 431, one below passes whole', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const withHead = (bytes: number) =>
      sendRaw(sidecar.data, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: ${'a'.repeat(bytes)}\r\n\r\n`)
    assert.match(await withHead(60_000), /^HTTP\/1\.1 200/)
    assert.equal((await upstream.nextRequest()).headers['x-long']?.length, 60_000)
    assert.match(await withHead(70_000), /^HTTP\/1\.1 431/)
    assert.equal(upstream.requests.length, 1)
  })

  test('a client that sends a body drop by drop is given up, and the upstream told; one that gets on is not', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_STALL_MS: '400' })
    const start = (bytes: number) => {
      const socket = openRaw(sidecar.data)
      socket.write(`${head(`Content-Length: ${bytes}`, 'Connection: close')}\r\n\r\n`)
      let closed = false
      let answer = ''
      socket.on('data', data => {
        answer += data
      })
      socket.on('close', () => {
        closed = true
      })
      return { socket, closed: () => closed, answer: () => answer }
    }
    const dropping = start(100_000)
    const going = start(40 * 1_024)
    let sent = 0
    const timer = setInterval(() => {
      if (!dropping.closed()) dropping.socket.write('x')
      if (sent++ < 40) going.socket.write('x'.repeat(1_024))
    }, 50)
    try {
      await until('the one to be given up', dropping.closed)
      await until('the other to be answered', () => going.answer().startsWith('HTTP/1.1 200'))
      const first = upstream.requests[0]
      assert.deepEqual(await first?.closed, { aborted: true })
    } finally {
      clearInterval(timer)
    }
  })

  test('who waits for an answer is left alone, however long; who takes nothing of it is not', async () => {
    await using upstream = await startUpstream({
      handler: async ({ incoming, request, response, released }) => {
        if (incoming.url === '/slow') {
          await released()
          response.end('late')
        } else {
          response.writeHead(200)
          const pour = () => {
            while (!response.destroyed && response.write('x'.repeat(65_536)));
          }
          response.on('drain', pour)
          pour()
          await request.closed.catch(() => undefined)
        }
      },
    })
    await using sidecar = await startTestSidecar(upstream.url, { QIS_STALL_MS: '300' })
    const waiting = sendRaw(sidecar.data, 'GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const slow = await upstream.nextRequest()
    const deaf = openRaw(sidecar.data)
    deaf.pause()
    deaf.write('GET /pour HTTP/1.1\r\nHost: x\r\n\r\n')
    const poured = await upstream.nextRequest()
    assert.deepEqual(await poured.closed, { aborted: true })
    slow.release()
    assert.match(await waiting, /late/)
    deaf.destroy()
  })

  test('an upload that the upstream is slow to take is not held against the client', async () => {
    await using upstream = await startUpstream({
      handler: async ({ incoming, response, released }) => {
        incoming.pause()
        await released()
        incoming.resume()
        incoming.on('end', () => response.end('taken'))
      },
    })
    await using sidecar = await startTestSidecar(upstream.url, { QIS_STALL_MS: '200' })
    const bytes = 8_000_000
    const whole = `${head(`Content-Length: ${bytes}`, 'Connection: close')}\r\n\r\n${'x'.repeat(bytes)}`
    const answer = sendRaw(sidecar.data, whole)
    const request = await upstream.nextRequest()
    await new Promise(resolve => setTimeout(resolve, 800))
    request.release()
    assert.match(await answer, /taken/)
  })
})
