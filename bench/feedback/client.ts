/** Asks a sidecar questions for their receipts, and sends feedback on the answers, one by one or in batches. */
import { Pool } from 'undici'
import type { MakeQuestion } from '../proxy/questions.ts'

export type Rating = 'up' | 'down'

/** One answer, with what may be held of it. */
export interface Answer {
  requestId: string
  receipt: string
  /** Feedback on it was acknowledged. */
  acked: boolean
  /** Every state in which it may be found: the last that was acknowledged or seen, and what was sent after that. */
  possible: (Rating | undefined)[]
}

export interface FeedbackClient extends AsyncDisposable {
  /** Asks `count` questions. */
  ask(count: number, question: MakeQuestion): Promise<Answer[]>
  /** Sends one rating for each answer in one request; resolves to what was said of each. Rejects when the sidecar dies. */
  rate(answers: readonly Answer[], ratings: readonly Rating[]): Promise<string[]>
}

const KEPT = /^(accepted|updated|duplicate|pending)$/

export function createFeedbackClient(url: string, connections: number): FeedbackClient {
  const pool = new Pool(url, { connections })

  async function askOne(text: string): Promise<Answer> {
    const { headers, body } = await pool.request({
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }),
    })
    await body.dump()
    return {
      requestId: String(headers['x-qis-request-id']),
      receipt: String(headers['x-qis-receipt']),
      acked: false,
      possible: [undefined],
    }
  }

  return {
    async ask(count, question) {
      const answers: Answer[] = []
      let next = 0
      const worker = async () => {
        while (next < count) answers.push(await askOne(question(next++, 200)))
      }
      await Promise.all(Array.from({ length: connections }, worker))
      return answers
    },
    async rate(answers, ratings) {
      const items = answers.map(({ receipt }, at) => ({ receipt, rating: ratings[at] }))
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/qis/feedback',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(items.length === 1 ? items[0] : items),
      })
      const text = await body.text()
      if (statusCode >= 300) throw new Error(`feedback was answered with ${statusCode}: ${text}`)
      const reply = JSON.parse(text) as { status: string } | { status: string }[] | { results: { status: string }[] }
      const results = Array.isArray(reply) ? reply : 'results' in reply ? reply.results : [reply]
      if (results.some(({ status }) => !KEPT.test(status))) throw new Error(`feedback was not taken: ${text}`)
      return results.map(({ status }) => status)
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  }
}
