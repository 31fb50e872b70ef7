/**
 * A chat page whose answers say how far they are to be trusted, and that takes thumbs. The page talks to this server, this
 * server to the sidecar: so the page needs no key and no CORS.
 *
 *     SIDECAR=http://127.0.0.1:8787 PORT=8080 node examples/chat/server.ts
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
// In an application of yours: from 'qis-sidecar/client'.
import { createClient, type Opinion, QisError } from '../../client/index.ts'

const PAGE = readFileSync(join(import.meta.dirname, 'index.html'))
const PASSED = ['GET /v1/models', 'POST /v1/chat/completions']

export function createChatServer(sidecar: string): Server {
  const { feedback } = createClient(sidecar)

  async function pass(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const body = request.method === 'POST' && { body: JSON.stringify(await json(request)) }
    const answer = await fetch(`${sidecar}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json' },
      signal,
      ...body,
    })
    const told = [...answer.headers].filter(([name]) => name === 'content-type' || name.startsWith('x-qis-'))
    response.writeHead(answer.status, Object.fromEntries(told))
    await pipeline(Readable.fromWeb(answer.body ?? new ReadableStream()), response)
  }

  async function rate(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { receipt, ...opinion } = (await json(request)) as Opinion & { receipt: string }
    response.end(JSON.stringify(await feedback({ receipt }, opinion, { signal })))
  }

  return createServer(async (request, response) => {
    const left = new AbortController()
    response.once('close', () => left.abort())
    const asked = `${request.method} ${request.url}`
    const { origin, host } = request.headers
    try {
      if (origin !== undefined && URL.parse(origin)?.host !== host) response.writeHead(403).end()
      else if (asked === 'GET /') response.setHeader('content-type', 'text/html; charset=utf-8').end(PAGE)
      else if (asked === 'POST /feedback') await rate(request, response, left.signal)
      else if (PASSED.includes(asked)) await pass(request, response, left.signal)
      else response.writeHead(404).end()
    } catch (error) {
      if (response.headersSent) response.destroy()
      else response.writeHead(error instanceof QisError ? error.status : 502).end(String(error))
    }
  })
}

if (import.meta.main) {
  const { SIDECAR = 'http://127.0.0.1:8787', PORT = '8080' } = process.env
  createChatServer(SIDECAR).listen(Number(PORT), '127.0.0.1', () =>
    process.stdout.write(`http://127.0.0.1:${PORT}, in front of ${SIDECAR}\n`),
  )
}
