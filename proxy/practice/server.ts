/**
 * An OpenAI-compatible server to practise on, for an operator who has no model server running yet. It says on every
 * response that it is no language model.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { chatDialect, type Dialect, type Generation, generate, MODEL, textDialect } from './replies.ts'
import {
  type Body,
  type CompletionRequest,
  parseBody,
  parseChat,
  parseCompletion,
  parseEmbeddings,
  RequestError,
} from './requests.ts'
import { countTokens } from './tokens.ts'

/** The part of a pino logger that is used. */
interface Logger {
  debug(details: object, message: string): void
  error(details: object, message: string): void
}

export interface PracticeModel extends AsyncDisposable {
  /** Listens on a free port of 127.0.0.1 and resolves to `http://127.0.0.1:<port>`. */
  listen(): Promise<string>
}

const MAX_BODY_BYTES = 32 * 1024 * 1024
const NOTICE = "this is qis-sidecar's built-in practice model, not an LLM"

/** The same request gets the same answer, but for the id's serial number and the time. */
export function createPracticeModel({ logger }: { logger?: Logger } = {}): PracticeModel {
  let serial = 0
  const embedder = createStaticEmbedder()

  const complete =
    (kind: 'chatcmpl' | 'cmpl', parse: (body: Body) => CompletionRequest, dialect: Dialect) =>
    async (request: IncomingMessage, response: ServerResponse) => {
      const asked = parse(parseBody(await readBody(request)))
      const generation = generate(kind, asked, serial++)
      if (!asked.stream) return sendJson(response, 200, dialect.whole(generation))
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
      await pipeline(events(dialect, generation, asked.includeUsage), response)
    }

  const embed = async (request: IncomingMessage, response: ServerResponse) => {
    const body = parseBody(await readBody(request))
    const { texts, base64 } = parseEmbeddings(body, embedder.dimensions)
    const vectors = await embedder.embed(texts)
    const tokens = texts.reduce((sum, text) => sum + countTokens(text), 0)
    sendJson(response, 200, {
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: base64
          ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
          : [...vector],
      })),
      model: MODEL.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  }

  const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    'GET /health': (_, response) => sendJson(response, 200, { status: 'ok' }),
    'GET /v1/models': (_, response) => sendJson(response, 200, { object: 'list', data: [MODEL] }),
    [`GET /v1/models/${MODEL.id}`]: (_, response) => sendJson(response, 200, MODEL),
    'POST /v1/chat/completions': complete('chatcmpl', parseChat, chatDialect),
    'POST /v1/completions': complete('cmpl', parseCompletion, textDialect),
    'POST /v1/embeddings': embed,
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url?.split('?')[0] ?? '/'
    response.setHeader('x-practice-model', NOTICE)
    try {
      const route = routes[`${request.method === 'HEAD' ? 'GET' : request.method} ${path}`]
      if (route === undefined) throw unknownPath(request.method, path)
      await route(request, response)
    } catch (error) {
      if (request.errored || response.destroyed) return logger?.debug({ path, error }, 'practice model: client left')
      const failure = error instanceof RequestError ? error : new RequestError(500, 'Internal error.', { cause: error })
      if (failure.status === 500) logger?.error({ path, error }, 'practice model: failed')
      if (response.headersSent) return response.destroy()
      sendError(response, failure)
    }
  }

  const server = createServer((request, response) => void handle(request, response))
  return {
    async listen() {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) {
        const closed = once(server, 'close')
        server.close()
        server.closeAllConnections()
        await closed
      }
      await embedder[Symbol.asyncDispose]()
    },
  }
}

/** Reads to the end even what is too long, keeping none of it, so that the client lives to see the refusal. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new RequestError(415, `The practice model does not read ${encoding} bodies.`, { param: 'content-encoding' })
  }
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length <= MAX_BODY_BYTES) parts.push(part)
    else parts.length = 0
  }
  if (length > MAX_BODY_BYTES) {
    throw new RequestError(413, `The body of the request is longer than ${MAX_BODY_BYTES} bytes.`, {
      code: 'request_too_large',
    })
  }
  return Buffer.concat(parts)
}

/** Made one at a time, giving way to other requests in between; the work stops when the client leaves. */
async function* events(dialect: Dialect, generation: Generation, includeUsage: boolean): AsyncGenerator<string> {
  for (const chunk of dialect.chunks(generation)) {
    yield sse(JSON.stringify(includeUsage ? { ...chunk, usage: null } : chunk))
    await setImmediate()
  }
  if (includeUsage) yield sse(JSON.stringify(dialect.usage(generation)))
  yield sse('[DONE]')
}

function sse(data: string): string {
  return `data: ${data}\n\n`
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  const bytes = Buffer.from(JSON.stringify(value))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes)
}

function sendError(response: ServerResponse, { status, message, param, code }: RequestError): void {
  const type = status < 500 ? 'invalid_request_error' : 'server_error'
  sendJson(response, status, { error: { message, type, param, code } })
}

function unknownPath(method: string | undefined, path: string): RequestError {
  if (path.startsWith('/v1/models/')) {
    return new RequestError(404, `There is one model here: '${MODEL.id}'.`, { param: 'model', code: 'model_not_found' })
  }
  return new RequestError(404, `The practice model has no ${method} ${path}.`, { code: 'unknown_url' })
}
