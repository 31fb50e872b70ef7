/**
 * Gives up clients that hold a connection and do not get on: that send a request drop by drop, or leave their answer where
 * it is. Whoever waits for an answer, or gets on however slowly, is left alone.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/** Of an unfinished request, in the time allowed; slower than any modem. */
const MIN_SENT_BYTES = 1_024
/** Looks in the time allowed. */
const LOOKS = 4

interface Watched {
  /** The last request of this connection. */
  request: IncomingMessage | undefined
  /** What had been sent and taken when it got on last, and how many looks ago that was. */
  sent: number
  taken: number
  sentLooks: number
  takenLooks: number
}

/** Costs a look at all connections a few times in `stallMs`, and a note for each request. */
export function endStalledClients(server: Server, stallMs: number): void {
  const connections = new Map<Socket, Watched>()
  server.on('connection', socket => {
    connections.set(socket, { request: undefined, sent: 0, taken: 0, sentLooks: 0, takenLooks: 0 })
    socket.once('close', () => connections.delete(socket))
  })
  server.on('request', request => {
    const watched = connections.get(request.socket)
    if (watched) watched.request = request
  })
  const timer = setInterval(() => {
    for (const [socket, watched] of connections) if (isStalled(socket, watched)) socket.destroy()
  }, stallMs / LOOKS).unref()
  server.on('close', () => clearInterval(timer))
}

function isStalled(socket: Socket, watched: Watched): boolean {
  const { request } = watched
  const mustSend = request !== undefined && !request.complete
  // What has come and was not read yet waits for the upstream, and is no fault of the client.
  if (!mustSend || request.readableLength > 0 || socket.bytesRead - watched.sent >= MIN_SENT_BYTES) {
    watched.sent = socket.bytesRead
    watched.sentLooks = 0
  } else watched.sentLooks++
  const taken = socket.bytesWritten - socket.writableLength
  if (socket.writableLength === 0 || taken > watched.taken) {
    watched.taken = taken
    watched.takenLooks = 0
  } else watched.takenLooks++
  return watched.sentLooks >= LOOKS || watched.takenLooks >= LOOKS
}
