/** The way to the LLM server: finding it, connecting to it, and letting go of it when the client has left. */
import { Agent, type Dispatcher } from 'undici'
import type { Config } from './config.ts'

/** Under this key of a request's headers travels the signal that cancels it; reply-from has no other place for it. */
export const SIGNAL: unique symbol = Symbol('qis.signal')

type RequestOptions = Dispatcher.RequestOptions & { headers: Record<string | symbol, unknown> }
type RequestCallback = (error: Error | null, data: Dispatcher.ResponseData) => void

/** What @fastify/reply-from needs of a client. */
export interface UpstreamClient extends AsyncDisposable {
  request(options: RequestOptions, callback: RequestCallback): void
}

export type UpstreamTimeouts = Pick<Config, 'connectTimeoutMs' | 'firstByteTimeoutMs' | 'idleTimeoutMs'>

/** uvicorn, under vLLM, closes idle sockets after 5 s; ours must let go first. */
const KEEP_ALIVE_MS = 4_000
const MAX_HEADER_BYTES = 64 * 1024

/**
 * An undici Agent of our own: it verifies TLS certificates (reply-from's default does not), and its three time-outs
 * are separate, because undici's five minutes kill long generations.
 */
export function createUpstreamClient(timeouts: UpstreamTimeouts): UpstreamClient {
  const agent = new Agent({
    connect: { timeout: timeouts.connectTimeoutMs },
    headersTimeout: timeouts.firstByteTimeoutMs,
    bodyTimeout: timeouts.idleTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  })
  return {
    request({ headers, ...options }, callback) {
      const { [SIGNAL]: signal, ...plain } = headers
      agent.request(
        { ...options, headers: plain as Record<string, string>, signal: signal instanceof AbortSignal ? signal : null },
        callback,
      )
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy()
    },
  }
}

export interface Found {
  origin: string
  server: string
}

interface Candidate {
  port: number
  server: string
  /** A request that costs nothing; never a completion. */
  path: string
  recognises(answer: unknown): boolean
}

const has = (key: string) => (answer: unknown) => typeof answer === 'object' && answer !== null && key in answer

/** The ports on which local LLM servers listen unless told otherwise. */
export const usualServers: readonly Candidate[] = [
  { port: 11_434, server: 'Ollama', path: '/api/version', recognises: has('version') },
  { port: 8_000, server: 'vLLM', path: '/v1/models', recognises: has('data') },
  { port: 8_080, server: 'TGI', path: '/info', recognises: has('model_id') },
  { port: 8_080, server: 'llama.cpp', path: '/v1/models', recognises: has('data') },
  { port: 1_234, server: 'LM Studio', path: '/v1/models', recognises: has('data') },
]

const PROBE_DEADLINE_MS = 1_000

/** The first of the candidates that answers as its kind of server does. */
export async function findUpstream(candidates: readonly Candidate[] = usualServers): Promise<Found | undefined> {
  const found = await Promise.all(candidates.map(probe))
  return found.find(one => one !== undefined)
}

async function probe({ port, server, path, recognises }: Candidate): Promise<Found | undefined> {
  const origin = `http://127.0.0.1:${port}`
  try {
    const response = await fetch(origin + path, { signal: AbortSignal.timeout(PROBE_DEADLINE_MS) })
    return response.ok && recognises(await response.json()) ? { origin, server } : undefined
  } catch {
    return undefined
  }
}
