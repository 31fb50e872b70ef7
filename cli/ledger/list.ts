/** `qis ledger`: the entries, for people or, with --json, for programs. */
import { once } from 'node:events'
import { join } from 'node:path'
import { readConfig } from '../../proxy/config.ts'
import { createFeedbackIds } from '../../proxy/feedback/ids.ts'
import { type LedgerEntry, ledgerLine } from '../../router/ledger.ts'
import { readLedger } from '../../router/store/read-ledger.ts'
import { type CommandIo, UsageError } from '../command.ts'

const SHOWN = 20
/** Lines between two looks at the signal. */
const STRIDE = 1_000

export async function list(
  { limit, json }: { limit: string | undefined; json: boolean },
  { out, env, signal }: CommandIo,
): Promise<number> {
  if (limit !== undefined && !/^\d{1,9}$/.test(limit)) throw new UsageError('--limit must be a whole number')
  using ledger = readLedger(join(readConfig(env).dataDir, 'qis.db'))
  const feedbackOf = createFeedbackIds(ledger.database)
  const wanted = limit === undefined ? (json ? ledger.count : SHOWN) : Number(limit)
  let shown = 0
  for (const entry of ledger.entries(Math.max(0, ledger.count - wanted))) {
    const feedback = feedbackOf(entry.requestId)
    const text = json ? `${JSON.stringify(inFull(entry, feedback))}\n` : describe(entry, feedback)
    if (!out.write(text)) await once(out, 'drain', { signal })
    if (++shown % STRIDE === 0) signal.throwIfAborted()
  }
  if (ledger.count === 0 && !json) out.write('nothing has left\n')
  return 0
}

function inFull(entry: LedgerEntry, feedback: string[]) {
  const { payload, ...line } = ledgerLine(entry)
  return { ...line, feedback, payload: JSON.parse(payload) as unknown, bytes: Buffer.from(entry.bytes).toString('hex') }
}

function describe(entry: LedgerEntry, feedback: string[]): string {
  const { seq, leftAt, topic, recipients, requestId, bytes, payload } = ledgerLine(entry)
  const peers = recipients === 1 ? '1 peer' : `${recipients} peers`
  const cause = [requestId, ...feedback].filter(id => id !== '').join(' ')
  const time = new Date(leftAt * 1000).toISOString().replace('.000', '')
  return `${seq}  ${time}  to ${peers}  ${bytes} bytes\n    on     ${topic}\n    about  ${cause}\n    ${payload}\n`
}
