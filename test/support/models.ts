/** A server with several models, whose answers say which of them was asked, and a sidecar's dealings with it. */
import assert from 'node:assert/strict'
import { postFeedback } from './sidecar.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface Asked {
  /** By which model it was answered. */
  from: string
  /** The body that reached it. */
  sent: Record<string, unknown>
  receipt: string
  header(name: string): string | null
}

/** @param models told on `/v1/models` */
export async function modelServer(models: readonly string[]): Promise<Upstream> {
  let serial = 0
  return startUpstream({
    handler: async ({ incoming, request, response }) => {
      const { bytes } = await request.body
      const body =
        incoming.url === '/v1/models'
          ? { object: 'list', data: models.map(id => ({ id, object: 'model' })) }
          : { id: `chatcmpl-${serial++}`, from: JSON.parse(String(bytes)).model, sent: JSON.parse(String(bytes)) }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    },
  })
}

export async function post(
  data: string,
  body: unknown,
  { path = '/v1/chat/completions', headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(data + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  })
}

export async function askModel(
  data: string,
  model: string,
  question: string,
  headers: Record<string, string> = {},
): Promise<Asked> {
  const response = await post(data, { model, messages: [{ role: 'user', content: question }] }, { headers })
  const { from, sent } = (await response.json()) as Pick<Asked, 'from' | 'sent'>
  const header = (name: string) => response.headers.get(`x-qis-${name}`)
  return { from, sent, receipt: header('receipt') ?? '', header }
}

export async function rate(data: string, { receipt }: Pick<Asked, 'receipt'>, verdict: object): Promise<void> {
  const response = await postFeedback(data, { receipt, ...verdict })
  assert.equal(response.status, 202, await response.text())
}
