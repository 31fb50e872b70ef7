/** Questions to a sidecar whose upstream answers with ids of the test's choosing, and a look at what was learnt of them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { chat, type TestSidecar } from './sidecar.ts'
import { startUpstream } from './upstream.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'

/** A chat completion whose id is of the test's choosing, `chatcmpl-1` after those. */
export async function answering(ids: string[] = []) {
  return startUpstream({
    handler: async ({ request, response }) => {
      await request.body
      const id = ids.shift() ?? 'chatcmpl-1'
      const logprobs = { content: [{ token: 'x', logprob: Math.log(0.5) }] }
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ id, model: 'm', choices: [{ index: 0, message: { content: 'x' }, logprobs }] }))
    },
  })
}

export async function ask({ data }: TestSidecar, question = QUESTION, headers: Record<string, string> = {}) {
  const response = await chat(data, question, headers)
  const { id } = (await response.json()) as { id: string }
  const header = (name: string) => response.headers.get(`x-qis-${name}`)
  return {
    completionId: id,
    requestId: header('request-id') ?? '',
    receipt: header('receipt') ?? '',
    confidence: header('confidence'),
  }
}

export async function outcomes({ dataDir }: TestSidecar): Promise<Record<string, unknown>[]> {
  using database = new DatabaseSync(join(dataDir, 'qis.db'), { readOnly: true })
  return database
    .prepare('SELECT outcome FROM outcomes')
    .all()
    .map(row => JSON.parse(String(row.outcome)))
}

export async function taken(response: Response) {
  const body = await response.text()
  assert.equal(response.status, 202, body)
  return JSON.parse(body) as { feedback_id: string; status: string }
}

export async function refused(response: Response, status: number, code: string, field: string | null) {
  const { error } = (await response.json()) as { error: { code: string; param: string | null; message: string } }
  assert.deepEqual(
    { status: response.status, code: error.code, field: error.param },
    { status, code, field },
    error.message,
  )
  assert.ok(error.message.length > 10)
}

export interface ShownFeedback {
  feedback_id: string
  request_id: string | null
  state: string
  source: string
  rating: string | null
  verdict: string
  signal: number | null
  created_at: number
  updated_at: number
  history: { at: number; status: string; said: object }[]
  correction?: { type: string; chars?: number; text?: string }
  comment?: string
}

/** By its id, from the admin listener. */
export async function shown({ admin }: TestSidecar, id: string): Promise<ShownFeedback> {
  const response = await fetch(`${admin}/qis/feedback/${id}`)
  assert.equal(response.status, 200, await response.clone().text())
  return (await response.json()) as ShownFeedback
}
