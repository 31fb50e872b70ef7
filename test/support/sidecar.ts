/** A whole sidecar in this process, on free ports, with a folder of its own. */
import { pino } from 'pino'
import { createSidecar, type Sidecar } from '../../proxy/components.ts'
import { readConfig } from '../../proxy/config.ts'
import { tempFolder } from './temp-folder.ts'

export interface TestSidecar extends AsyncDisposable {
  /** `http://127.0.0.1:…` */
  readonly data: string
  readonly admin: string
  readonly sidecar: Sidecar
  readonly dataDir: string
}

/** @param settings environment variables; no network unless QIS_MODE says so, everything leaves at once, and no
 *   outcome but what the test itself says */
export async function startTestSidecar(upstream: string, settings: Record<string, string> = {}): Promise<TestSidecar> {
  await using parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const config = readConfig({
    QIS_CONFIG: 'off',
    QIS_DATA: folder.path,
    QIS_MODE: 'off',
    QIS_PROFILE: 'open',
    QIS_IMPLICIT: 'off',
    ...settings,
  })
  const sidecar = parts.use(
    await createSidecar(config, config.upstreams ?? [{ origin: upstream, models: [] }], pino({ level: 'silent' })),
  )
  const data = await sidecar.data.listen({ host: '127.0.0.1', port: 0 })
  const admin = await sidecar.admin.listen({ host: '127.0.0.1', port: 0 })
  const kept = parts.move()
  return { data, admin, sidecar, dataDir: config.dataDir, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** So that a broken proxy fails a test soon, not after undici's five minutes. */
const CLIENT_DEADLINE_MS = 60_000

/** A chat request as curl would send it. */
export function chat(data: string, question: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${data}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: question }] }),
    signal: AbortSignal.timeout(CLIENT_DEADLINE_MS),
  })
}

export function postFeedback(data: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${data}/qis/feedback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
