/** `npm run forge -- --json`: 100,000 forged tokens and receipts, sent to a sidecar over HTTP; counts those that were accepted. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { createReceipts } from '../../proxy/receipts.ts'
import { answering, ask } from '../support/asking.ts'
import { postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { forgedReceipts, forgedTokens } from './forgeries.ts'

export interface ForgeryResult {
  tokens: number
  receipts: number
  tokens_accepted: number
  receipts_accepted: number
  /** The true ones, after all that. */
  true_accepted: boolean
}

const LIFETIME_S = 3_600
const BATCH = 1_000
const AT_A_TIME = 32

export async function forge(count: number, token: string): Promise<ForgeryResult> {
  await using upstream = await answering()
  await using sidecar = await startTestSidecar(upstream.url, {
    QIS_DATA_LISTEN: '0.0.0.0:0',
    QIS_ADMIN_LISTEN: '0.0.0.0:0',
    QIS_ADMIN_TOKEN: token,
    QIS_FEEDBACK_TOKEN: token,
    QIS_EVALUATOR_TOKEN: `evaluator-${token}`,
    QIS_METRICS_TOKEN: `metrics-${token}`,
    QIS_RECEIPT_LIFETIME_S: String(LIFETIME_S),
    QIS_RATE_LIMIT: '0',
  })
  const { receipt, requestId } = await ask(sidecar)
  const tokens = Math.floor(count / 2)
  const receipts = count - tokens
  const tokens_accepted = await tryTokens(sidecar, tokens, { token, requestId })
  const receipts_accepted = await tryReceipts(sidecar, receipts, { fresh: receipt, token })
  const admitted = await fetch(`${sidecar.admin}/qis/status`, { headers: { authorization: `Bearer ${token}` } })
  const opened = await postFeedback(sidecar.data, { receipt, rating: 'up' })
  const true_accepted = admitted.status === 200 && opened.status === 202
  return { tokens, receipts, tokens_accepted, receipts_accepted, true_accepted }
}

async function tryTokens(
  { data, admin }: TestSidecar,
  count: number,
  { token, requestId }: { token: string; requestId: string },
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME })
  const body = JSON.stringify({ request_id: requestId, rating: 'down' })
  const headers = forgedTokens(count, token)
  let [accepted, turn] = [0, 0]
  const send = async (authorization: string) => {
    const doors = [`${data}/qis/feedback`, `${admin}/qis/status`, `${admin}/metrics`, `${admin}/qis/ledger`]
    const url = doors[turn++ % doors.length] ?? ''
    const sent = url.startsWith(data)
      ? request(url, { agent, method: 'POST', headers: { authorization } }).end(body)
      : request(url, { agent, headers: { authorization } }).end()
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    if (answer.statusCode !== 401 && answer.statusCode !== 403) accepted++
  }
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (const header of headers) await send(header)
    }),
  )
  agent.destroy()
  return accepted
}

async function tryReceipts(
  { data, dataDir }: TestSidecar,
  count: number,
  { fresh, token }: { fresh: string; token: string },
): Promise<number> {
  const key = Buffer.from((await readFile(join(dataDir, 'receipt.key'), 'utf8')).trim(), 'base64')
  const receipts = createReceipts([key], { lifetimeS: LIFETIME_S })
  const forgeries = forgedReceipts(count, { fresh, receipts, lifetimeS: LIFETIME_S }).toArray()
  let accepted = 0
  for (let from = 0; from < forgeries.length; from += BATCH) {
    const batch = forgeries.slice(from, from + BATCH).map(receipt => ({ receipt, rating: 'down' }))
    const answer = await postFeedback(data, batch, { authorization: `Bearer ${token}` })
    const { results } = (await answer.json()) as { results: { status: string }[] }
    if (results.length !== batch.length) throw new Error(`a batch was answered with ${answer.status}`)
    accepted += results.filter(({ status }) => status !== 'error').length
  }
  return accepted
}

if (import.meta.main) {
  const result = await forge(100_000, 'Zk3-the_true_token-9f2b7c')
  console.log(JSON.stringify(result))
  if (result.tokens_accepted + result.receipts_accepted > 0 || !result.true_accepted) process.exitCode = 1
}
