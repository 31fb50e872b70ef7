/** Asks a running sidecar, found by the same settings that it was started with. */
import { readFileSync } from 'node:fs'
import type { ParseArgsOptionsConfig } from 'node:util'
import type { TokenSetting } from '../proxy/access/tokens.ts'
import { readFlags } from '../proxy/config/flags.ts'
import { type Address, type Config, configOf, readSettings, type Settings, settings as table } from '../proxy/config.ts'
import type { Status } from '../proxy/status.ts'

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
  ask(listener: 'admin' | 'data', path: string, signal: AbortSignal, body?: unknown, method?: string): Promise<unknown>
}

const DEADLINE_MS = 10_000
const MAX_TOKEN_FILE_BYTES = 1024 * 1024

export interface RemoteAccess extends Pick<Config, 'dataListen' | 'adminListen'> {
  /** Shown to either listener. */
  token?: string | undefined
  /** Shown to the data listener in its place. */
  feedbackToken?: string | undefined
}

/** The sidecar that the settings are those of. */
export function remoteOf(settings: Settings): Remote {
  const { dataListen, adminListen } = configOf(settings)
  const token = tokenOf(settings, 'adminToken')
  return createRemote({ dataListen, adminListen, token, feedbackToken: token ?? tokenOf(settings, 'feedbackToken') })
}

/** What commands that ask a running sidecar take beside their own options: all settings as flags. */
export function openRemote<const More extends ParseArgsOptionsConfig>(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  more: More,
  allowPositionals = false,
) {
  const { flags, values, positionals } = readFlags(table, args, more, allowPositionals)
  return { remote: remoteOf(readSettings(env, flags)), values, positionals }
}

/** Undefined where the settings hold none, or only its hash. */
function tokenOf({ values, given }: Settings, id: 'adminToken' | 'feedbackToken'): string | undefined {
  const setting = values[id] as TokenSetting | undefined
  if (setting === undefined) return undefined
  const lines = 'file' in setting ? readLines(setting.file) : [given[id]?.text ?? '']
  const tokens = lines
    .filter(line => line.trim() !== '' && !line.startsWith('#'))
    .map(line => line.trim().split(/\s+/)[0])
  return tokens.find(token => !token?.startsWith('sha256:'))
}

function readLines(file: string): string[] {
  try {
    const text = readFileSync(file, 'utf8')
    return text.length > MAX_TOKEN_FILE_BYTES ? [] : text.split('\n')
  } catch {
    return []
  }
}

export function createRemote(access: RemoteAccess): Remote {
  const bases = { admin: urlOf(access.adminListen), data: urlOf(access.dataListen) }
  const tokens = { admin: access.token, data: access.feedbackToken ?? access.token }

  async function ask(
    listener: 'admin' | 'data',
    path: string,
    signal: AbortSignal,
    body?: unknown,
    method = body === undefined ? 'GET' : 'POST',
  ): Promise<unknown> {
    const url = bases[listener] + path
    const response = await fetch(url, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(tokens[listener] !== undefined && { authorization: `Bearer ${tokens[listener]}` }),
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
    const hint =
      response.status === 401 ? '; give it with --admin-token, since the settings hold none or only its hash' : ''
    throw new RemoteError(`${url} answers with ${response.status}${error?.message ? `: ${error.message}` : ''}${hint}`)
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
