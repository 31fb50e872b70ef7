/** What a database holds after its process was killed, compared with what was acknowledged. */
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { loadIdentity } from '../../router/identity.ts'
import type { Answer, Rating } from './client.ts'

export interface Audit {
  /** Answers whose acknowledged rating is not there. */
  lost: number
  /** Rows beyond one for each answer, and rows that nobody asked for. */
  surplus: number
  sound: boolean
}

/** Opens the database as the next start will, and settles what was open: what it holds now is what it must hold later. */
export async function audit(dataDir: string, answers: readonly Answer[]): Promise<Audit> {
  const secret = (await loadIdentity(join(dataDir, 'identity.key'))).secret('answer')
  using database = new DatabaseSync(join(dataDir, 'qis.db'))
  const sound = database.prepare('PRAGMA integrity_check').get()?.integrity_check === 'ok'
  const rows = database.prepare('SELECT answer, outcome FROM outcomes').all()
  const signals = new Map(rows.map(row => [row.answer, (JSON.parse(String(row.outcome)) as { signal: number }).signal]))
  const texts = new Set(
    database
      .prepare('SELECT request_id FROM feedback')
      .all()
      .map(row => row.request_id),
  )
  const told = Number(database.prepare('SELECT count(*) AS n FROM feedback').get()?.n)

  let lost = 0
  let known = 0
  for (const answer of answers) {
    const signal = signals.get(createHmac('sha256', secret).update(answer.requestId).digest('hex').slice(0, 16))
    const held: Rating | undefined = signal === undefined ? undefined : signal > 0.5 ? 'up' : 'down'
    if (held !== undefined) known += 1
    const told = texts.has(answer.requestId)
    if ((answer.acked && !told) || !answer.possible.includes(held)) lost += 1
    // What is there now has survived: from here on it must stay.
    answer.acked ||= told
    answer.possible = [held]
  }
  return { lost, surplus: rows.length - known + told - texts.size, sound }
}
