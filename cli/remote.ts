/** Asks a running sidecar, found by the same settings that it was started with. */
import type { Address, Config } from '../proxy/config.ts'

export interface Status {
  id: string
  addresses: string[]
  peers: string[]
  keys: number
  evidence: number
  networkUp: boolean
  space: { name: string; id: string }
}

/** No sidecar answers, or it refuses; the message says what to do. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  readonly code = 'ERR_REMOTE'
}

export interface Remote {
  /** @throws {RemoteError} */
  status(signal: AbortSignal): Promise<Status>
  /**
   * The JSON that the admin or data listener answers with.
   *
   * @throws {RemoteError} when nobody answers in time, or with an error
   */
  ask(listener: 'admin' | 'data', path: string, signal: AbortSignal, body?: unknown): Promise<unknown>
}

const DEADLINE_MS = 10_000

export function createRemote(config: Pick<Config, 'dataListen' | 'adminListen' | 'adminToken'>): Remote {
  const bases = { admin: urlOf(config.adminListen), data: urlOf(config.dataListen) }

  async function ask(listener: 'admin' | 'data', path: string, signal: AbortSignal, body?: unknown): Promise<unknown> {
    const url = bases[listener] + path
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(config.adminToken !== undefined && { authorization: `Bearer ${config.adminToken}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    }).catch((cause: Error) => {
      signal.throwIfAborted()
      throw new RemoteError(
        `no sidecar answers at ${bases[listener]}: is it running, and with the same settings? qis doctor says more`,
        { cause },
      )
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (response.ok && answer !== undefined) return answer
    const { error } = (answer ?? {}) as { error?: { message?: string } }
    throw new RemoteError(`${url} answers with ${response.status}${error?.message ? `: ${error.message}` : ''}`)
  }

  return {
    ask,
    async status(signal) {
      const answer = await ask('admin', '/qis/status', signal)
      if (isStatus(answer)) return answer
      throw new RemoteError(`what answers at ${bases.admin} is not a sidecar`)
    },
  }
}

function isStatus(answer: unknown): answer is Status {
  return typeof answer === 'object' && answer !== null && 'networkUp' in answer && 'peers' in answer
}

function urlOf({ host, port }: Address): string {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
