/** Bytes to and from a socket, for what no HTTP client would send. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Sends these bytes as they are, and gives all that came until the connection ended, it was enough, or the time was over. */
export async function sendRaw(
  url: string,
  bytes: string | Buffer,
  { deadlineMs = 30_000, enough = (_received: string): boolean => false } = {},
): Promise<string> {
  const socket = openRaw(url)
  let received = ''
  socket.setEncoding('latin1').on('data', part => {
    received += part
    if (enough(received)) socket.destroy()
  })
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  const late = setTimeout(() => socket.destroy(), deadlineMs)
  await once(socket, 'close').catch(() => undefined)
  clearTimeout(late)
  return received
}

export function openRaw(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect({ host: hostname, port: Number(port) }).on('error', () => undefined)
}

export interface Listener extends AsyncDisposable {
  readonly port: number
  readonly server: Server
  /** All that came, on all connections together, in order. */
  readonly received: () => string
  readonly connections: () => number
}

/** A TCP server that keeps what it is sent; `answer` is written for each chunk that ends a head. */
export async function listenRaw(answer?: string): Promise<Listener> {
  let received = ''
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    connections++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', bytes => {
      received += bytes.toString('latin1')
      if (answer !== undefined) socket.write(answer, 'latin1')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    server,
    received: () => received,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
