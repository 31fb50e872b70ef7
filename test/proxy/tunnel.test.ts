import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { suite, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { until } from '../support/poll.ts'
import { listenRaw, openRaw, sendRaw } from '../support/raw.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const HANDSHAKE = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** An upstream that speaks WebSocket at every path, and echoes. */
async function echoing(settings: { protocols?: string[] } = {}) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream())
  const sockets = new WebSocketServer({
    server: upstream.server,
    handleProtocols: protocols => settings.protocols?.find(one => protocols.has(one)) ?? false,
  })
  parts.defer(() => {
    for (const socket of sockets.clients) socket.terminate()
  })
  // Said before the client has had time to listen: it must not be lost.
  sockets.on('connection', socket => {
    socket.send('first words')
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  const sidecar = parts.use(await startTestSidecar(upstream.url))
  const url = `${sidecar.data.replace('http', 'ws')}/v1/realtime?model=m`
  return { upstream, sockets, sidecar, url, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function connect(url: string, ...rest: [protocols?: string[], options?: object]) {
  const socket = new WebSocket(url, ...rest)
  const messages: { data: Buffer; binary: boolean }[] = []
  socket.on('message', (data: Buffer, binary) => messages.push({ data, binary }))
  await once(socket, 'open')
  await until('the first words', () => messages.length > 0)
  return { socket, messages }
}

suite('a WebSocket through the proxy', () => {
  test('case 32: carries text and binary both ways, large frames too, and loses nothing said first', async () => {
    await using run = await echoing()
    const { socket, messages } = await connect(run.url)
    const large = Buffer.alloc(3 * 1024 * 1024, 7)
    socket.send('Grüße 🙂')
    socket.send(large, { binary: true })
    await until('the echo', () => messages.length === 3)
    assert.deepEqual(
      messages.map(({ data, binary }) => [binary, data.length]),
      [
        [false, 11],
        [false, Buffer.byteLength('Grüße 🙂')],
        [true, large.length],
      ],
    )
    assert.ok(messages[2]?.data.equals(large))
    socket.terminate()
  })

  test('case 32: keeps the code and the reason of a close, whoever closes', async () => {
    await using run = await echoing()
    const one = await connect(run.url)
    const [server] = run.sockets.clients
    server?.close(4001, 'enough said')
    assert.deepEqual((await once(one.socket, 'close')).map(String), ['4001', 'enough said'])

    const two = await connect(run.url)
    const other = [...run.sockets.clients].at(-1)
    assert.ok(other)
    const closed = once(other, 'close')
    two.socket.close(4002, 'my turn')
    assert.deepEqual((await closed).map(String), ['4002', 'my turn'])
  })

  test('passes the handshake on: path, credentials and protocol go, what was said to us stays', async () => {
    await using run = await echoing({ protocols: ['realtime'] })
    const upgraded = once(run.upstream.server, 'upgrade')
    const { socket } = await connect(run.url, ['realtime'], {
      headers: { authorization: 'Bearer k', 'x-qis-domain': 'clinical' },
    })
    const [{ url, headers }] = await upgraded
    assert.equal(url, '/v1/realtime?model=m')
    assert.equal(headers.authorization, 'Bearer k')
    assert.equal(headers.host, new URL(run.upstream.url).host)
    assert.equal(headers['x-qis-domain'], undefined)
    assert.equal(socket.protocol, 'realtime')
    socket.terminate()
  })

  test('that the upstream refuses is refused with its own status and body', async () => {
    await using upstream = await startUpstream()
    upstream.server.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 2\r\n\r\nno'),
    )
    await using sidecar = await startTestSidecar(upstream.url)
    const socket = new WebSocket(`${sidecar.data.replace('http', 'ws')}/v1/realtime`)
    socket.on('error', () => undefined)
    const [, response] = await once(socket, 'unexpected-response')
    assert.equal(response.statusCode, 401)
    assert.equal(response.headers['www-authenticate'], 'Bearer')
    const [body] = await once(response, 'data')
    assert.equal(String(body), 'no')
  })

  test('to an upstream that is down is a 502', async () => {
    const upstream = await startUpstream()
    await upstream[Symbol.asyncDispose]()
    await using sidecar = await startTestSidecar(upstream.url)
    const socket = new WebSocket(`${sidecar.data.replace('http', 'ws')}/v1/realtime`)
    socket.on('error', () => undefined)
    const [, response] = await once(socket, 'unexpected-response')
    assert.equal(response.statusCode, 502)
  })

  test('whose client vanishes ends at the upstream too', async () => {
    await using run = await echoing()
    const { socket } = await connect(run.url)
    assert.equal(run.sockets.clients.size, 1)
    socket.terminate()
    await until('the upstream to notice', () => run.sockets.clients.size === 0)
  })

  test('that is not answered ends at the upstream as soon as its client leaves', async () => {
    await using upstream = await listenRaw()
    await using sidecar = await startTestSidecar(`http://127.0.0.1:${upstream.port}`)
    const open = () => new Promise<number>(resolve => upstream.server.getConnections((_, count) => resolve(count)))
    const leave = { end: (socket: Socket) => socket.end(), reset: (socket: Socket) => socket.resetAndDestroy() }
    for (const [how, go] of Object.entries(leave)) {
      const { length } = upstream.received()
      const socket = openRaw(sidecar.data)
      socket.write(HANDSHAKE)
      await until('the upstream to be asked', () => upstream.received().length > length)
      assert.equal(await open(), 1)
      go(socket)
      await until(`the upstream to be left after ${how}`, async () => (await open()) === 0)
    }
  })

  test('whose client talks on before it is answered is given up; a little reaches the upstream', async () => {
    await using upstream = await listenRaw()
    await using sidecar = await startTestSidecar(`http://127.0.0.1:${upstream.port}`)
    const loud = openRaw(sidecar.data)
    loud.write(HANDSHAKE)
    await until('the upstream to be asked', () => upstream.received().endsWith('\r\n\r\n'))
    loud.write(Buffer.alloc(128 * 1024))
    await once(loud, 'close', { signal: AbortSignal.timeout(60_000) })
    assert.ok(!upstream.received().includes('\0'))

    await using accepting = await listenRaw(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    )
    await using other = await startTestSidecar(`http://127.0.0.1:${accepting.port}`)
    const quick = openRaw(other.data)
    quick.write(`${HANDSHAKE}first words`)
    await until('the first words', () => accepting.received().endsWith('first words'))
    quick.destroy()
  })

  test('with a body is a request first: its body goes with it, and it is not upgraded', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n'
    for (const [framing, body] of [
      [`Content-Length: ${hidden.length}`, hidden],
      ['Transfer-Encoding: chunked', `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`],
    ]) {
      const head = `GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n${framing}\r\n\r\n`
      assert.match(await sendRaw(sidecar.data, head + body), /^HTTP\/1\.1 200 /)
      const request = await upstream.nextRequest()
      assert.equal(request.headers.upgrade, undefined)
      assert.equal((await request.body).bytes.toString(), hidden)
    }
    assert.equal(upstream.requests.length, 2)
  })

  test('does not keep a sidecar from stopping', async () => {
    await using run = await echoing()
    const { socket } = await connect(run.url)
    const closed = once(socket, 'close')
    await run.sidecar.sidecar[Symbol.asyncDispose]()
    await closed
  })
})
