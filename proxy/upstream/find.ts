/** Looks for an LLM server on the ports where such servers usually listen. */
import type { UpstreamEntry } from './upstreams.ts'

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

/** The one that was found, as if it had been configured. */
export async function findEntries(): Promise<UpstreamEntry[]> {
  const found = await findUpstream()
  return found ? [{ origin: found.origin, models: [] }] : []
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
