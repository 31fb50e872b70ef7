/** Carries WebSockets and other upgraded connections: the handshake is the upstream's to answer, the bytes are piped. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type Duplex, pipeline } from 'node:stream'
import type { TlsOptions } from './client.ts'

export interface Tunnel {
  /** For the server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Ends all that are open. */
  cut(): void
}

export interface TunnelOptions {
  /** Where to go with a path and its query string. */
  origin(url: string): string
  /** Until the upstream has answered the handshake. */
  handshakeTimeoutMs: number
  tls: TlsOptions
  /** What the client says to us alone, and no upstream to our clients. */
  isOurs(header: string): boolean
}

const LAST_WORDS_MS = 2_000
/** Of what a client says before it was answered, which WebSockets do not. */
const MAX_EARLY_BYTES = 64 * 1024
const BAD_GATEWAY = 'HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'

export function createTunnel({ origin, handshakeTimeoutMs, tls, isOurs }: TunnelOptions): Tunnel {
  const open = new Set<Duplex>()

  function upgrade(request: IncomingMessage, client: Duplex, head: Buffer): void {
    const base = origin(request.url ?? '')
    const handshake = (base.startsWith('https:') ? httpsRequest : httpRequest)(new URL(base), {
      method: request.method,
      path: request.url,
      headers: headersFor(request, new URL(base).host, isOurs),
      setHost: false,
      timeout: handshakeTimeoutMs,
      agent: false,
      ...tls,
    })
    open.add(client)
    const early = listen(client, head)
    client.once('close', () => {
      open.delete(client)
      handshake.destroy()
    })
    client.on('error', () => handshake.destroy())
    handshake.on('timeout', () => handshake.destroy(new Error('the upstream did not answer the handshake')))
    handshake.on('error', () => {
      if (client.writable) client.end(BAD_GATEWAY, () => client.destroy())
    })
    handshake.on('upgrade', (response, upstream, upstreamHead) => {
      client.write(headOf(response, isOurs), 'latin1')
      if (upstreamHead.length > 0) client.write(upstreamHead)
      const sent = early.stop()
      if (sent.length > 0) upstream.write(sent)
      join(client, upstream)
    })
    // Refused: the answer is an ordinary one, and the connection ends with it.
    handshake.on('response', response => {
      client.write(headOf(response, isOurs, 'connection: close\r\n'), 'latin1')
      pipeline(response, client, () => client.destroy())
    })
    handshake.end()
  }

  return {
    upgrade,
    cut() {
      for (const socket of open) socket.destroy()
    },
  }
}

/**
 * Reads a client that waits for its answer, since nobody hears of the end of a connection that is not read: one that leaves, or
 * says too much too soon, is given up.
 */
function listen(client: Duplex, head: Buffer): { stop(): Buffer } {
  const said = [head]
  let bytes = head.length
  const hear = (chunk: Buffer) => {
    said.push(chunk)
    bytes += chunk.length
    if (bytes > MAX_EARLY_BYTES) client.destroy()
  }
  const leave = () => client.destroy()
  client.on('data', hear).once('end', leave)
  return {
    stop() {
      client.pause()
      client.off('data', hear).off('end', leave)
      return Buffer.concat(said)
    },
  }
}

/** Each side's end ends the other's; a side that breaks breaks the other. */
function join(client: Duplex, upstream: Duplex): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy())
    // What was said last, such as why a WebSocket was closed, may still be on its way.
    one.once('close', () => other.end() && setTimeout(() => other.destroy(), LAST_WORDS_MS).unref())
    one.pipe(other)
  }
}

/** As a list, in which nothing is joined or renamed. */
function headersFor({ rawHeaders }: IncomingMessage, host: string, isOurs: (header: string) => boolean): string[] {
  const headers: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    const lower = name.toLowerCase()
    if (!isOurs(lower) && lower !== 'proxy-authorization') headers.push(name, lower === 'host' ? host : value)
  }
  return headers
}

function headOf(
  { statusCode, statusMessage, rawHeaders }: IncomingMessage,
  isOurs: (header: string) => boolean,
  extra = '',
): string {
  let head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // A refusal is written by us, unframed, until its end.
    if (isOurs(name.toLowerCase()) || (extra !== '' && /^(connection|transfer-encoding|keep-alive)$/i.test(name)))
      continue
    head += `${name}: ${rawHeaders[index + 1]}\r\n`
  }
  return `${head}${extra}\r\n`
}
