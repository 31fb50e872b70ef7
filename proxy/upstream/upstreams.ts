/** Which LLM servers there are, which models each serves, and which of them answer just now. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Agent, request } from 'undici'
import { modelsIn } from './model-names.ts'

export interface UpstreamEntry {
  /** `http://127.0.0.1:8000` */
  origin: string
  /** Models it is known to serve; empty to ask it. */
  models: readonly string[]
}

export interface UpstreamStatus {
  origin: string
  up: boolean
  models: readonly string[]
}

export interface Upstreams extends AsyncDisposable {
  /** Whether there is a choice at all. */
  readonly several: boolean
  /** Origins to try for a model, best first, never empty: those that serve it, those that answer, in the order given. */
  choose(model: string | undefined): readonly string[]
  /** Whether a server answers that serves this model, or might; of a single one nothing is known. */
  available(model: string): boolean
  /** A connection to `origin` could not be made. */
  failed(origin: string): void
  answered(origin: string): void
  status(): UpstreamStatus[]
}

export interface UpstreamsOptions {
  /** How often servers are asked for their models, which costs them nothing. @default 10000 */
  probeMs?: number
  probeDeadlineMs?: number
  /** Failures in a row after which a server is tried last, until it answers again. @default 3 */
  failuresToOpen?: number
}

interface Server extends UpstreamEntry {
  failures: number
  /** As the last probe told. */
  served: readonly string[]
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024

/**
 * With one server nothing is probed and nothing is ever held back. With several, a circuit breaker for each (closed:
 * used; open after failures in a row: last resort) is closed again by the first probe or request that is answered.
 *
 * @param entries at least one
 * @param dispatcher how to reach them: their certificates, their time-outs
 */
export function createUpstreams(
  { dispatcher }: { dispatcher: Agent },
  entries: readonly UpstreamEntry[],
  options: UpstreamsOptions = {},
): Upstreams {
  const { probeMs = 10_000, probeDeadlineMs = 3_000, failuresToOpen = 3 } = options
  const servers: Server[] = entries.map(entry => ({ ...entry, failures: 0, served: entry.models }))
  const several = servers.length > 1
  const stopping = new AbortController()
  const byOrigin = new Map(servers.map(server => [server.origin, server]))
  const isUp = (server: Server) => server.failures < failuresToOpen
  const fixed = servers.map(({ origin }) => origin)

  const failed = (origin: string) => {
    const server = byOrigin.get(origin)
    if (server) server.failures++
  }
  const answered = (origin: string) => {
    const server = byOrigin.get(origin)
    if (server) server.failures = 0
  }

  async function probe(server: Server): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(probeDeadlineMs)])
    try {
      const response = await request(`${server.origin}/v1/models`, { dispatcher, signal })
      const text = await readBounded(response.body)
      answered(server.origin)
      // Any answer shows that it is alive; only this one tells what it serves.
      const models = modelsIn(text)
      if (server.models.length === 0 && models.length > 0) server.served = models
    } catch {
      if (!stopping.signal.aborted) failed(server.origin)
    }
  }

  async function keepProbing(): Promise<void> {
    while (!stopping.signal.aborted) {
      await Promise.all(servers.map(probe))
      await delay(probeMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
    }
  }
  const probing = several ? keepProbing() : Promise.resolve()

  return {
    several,
    choose(model) {
      if (!several) return fixed
      const serving = servers.filter(({ served }) => model !== undefined && served.includes(model))
      const candidates = serving.length > 0 ? serving : servers
      return [...candidates.filter(isUp), ...candidates.filter(server => !isUp(server))].map(({ origin }) => origin)
    },
    available(model) {
      if (!several) return true
      return servers.some(server => isUp(server) && (server.served.length === 0 || server.served.includes(model)))
    },
    failed,
    answered,
    status: () => servers.map(server => ({ origin: server.origin, up: isUp(server), models: server.served })),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await probing
    },
  }
}

/** Empty when it is longer than any list of models is. */
export async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
