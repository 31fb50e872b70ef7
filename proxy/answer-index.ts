/** What is remembered of recent answers, so that feedback may name them by request id or completion id. */
import type { Intervention } from '../router/outcome.ts'
import type { Database, Schema, SqlRow, Statement } from '../router/store/database.ts'

/** All that feedback needs to know of an answer; no text, and no vector. */
export interface AnswerRecord {
  requestId: string
  /** Fingerprint of the question, 16 hex digits. */
  code: string
  domain: string
  model: string
  intervention: Intervention
  /** Unix seconds. */
  time: number
  strategy?: string
  /** Known only when the answer has ended. */
  completionId?: string
  /** The model's own, 0..1. */
  confidence?: number
}

export interface AnswerIndex extends AsyncDisposable {
  /** Remembers an answer, or more about one; written to disk soon after. */
  note(record: AnswerRecord): void
  byRequestId(requestId: string): Promise<AnswerRecord | undefined>
  /** All answers of that id: some servers have only a thousand different ones. At most two, which is enough to tell. */
  byCompletionId(completionId: string): Promise<AnswerRecord[]>
}

export const answerSchema: Schema = {
  part: 'answers',
  migrations: [
    `CREATE TABLE answers (
       request_id TEXT PRIMARY KEY, completion_id TEXT, record TEXT NOT NULL, time INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX answers_by_completion ON answers (completion_id, time);
     CREATE INDEX answers_by_time ON answers (time);`,
  ],
}

export interface AnswerIndexOptions {
  /** Seconds for which feedback may come. @default 604800 */
  lifetimeS?: number
  /** Rows kept on disk at most. @default 1000000 */
  maxRows?: number
  /** Answers waiting to be written at most; the oldest are then reachable by receipt only. @default 10000 */
  maxPending?: number
  /** How long an answer waits to be written with others. @default 200 */
  flushMs?: number
}

const BATCH = 500

export function createAnswerIndex(
  { database, clock = Date.now, onError }: { database: Database; clock?: () => number; onError(error: unknown): void },
  options: AnswerIndexOptions = {},
): AnswerIndex {
  const { lifetimeS = 7 * 24 * 3600, maxRows = 1_000_000, maxPending = 10_000, flushMs = 200 } = options
  /** Not yet on disk; oldest first. */
  const pending = new Map<string, AnswerRecord>()
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> = Promise.resolve()

  async function flush(): Promise<void> {
    while (pending.size > 0) {
      const batch = [...pending.values()].slice(0, BATCH)
      await database.write([...batch.map(insert), ...trim()])
      // One that was noted again meanwhile is another object, and stays.
      for (const record of batch) if (pending.get(record.requestId) === record) pending.delete(record.requestId)
    }
  }
  const trim = (): Statement[] => [
    { sql: 'DELETE FROM answers WHERE time < ?', params: [Math.floor(clock() / 1000) - lifetimeS] },
    {
      sql: 'DELETE FROM answers WHERE rowid <= (SELECT max(rowid) FROM answers) - ?',
      params: [maxRows],
    },
  ]
  const flushSoon = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      flushing = flushing.then(flush).catch(error => {
        onError(error)
        if (pending.size > 0) flushSoon()
      })
    }, flushMs).unref()
  }

  return {
    note(record) {
      // Deleted first, so that it moves to the end.
      pending.delete(record.requestId)
      pending.set(record.requestId, record)
      const [oldest] = pending.keys()
      if (pending.size > maxPending && oldest !== undefined) pending.delete(oldest)
      flushSoon()
    },
    async byRequestId(requestId) {
      const waiting = pending.get(requestId)
      if (waiting) return waiting
      const [row] = await database.all('SELECT record FROM answers WHERE request_id = ?', [requestId])
      return row && read(row)
    },
    async byCompletionId(completionId) {
      const rows = await database.all('SELECT record FROM answers WHERE completion_id = ? ORDER BY time DESC LIMIT 2', [
        completionId,
      ])
      const found = new Map(rows.map(read).map(record => [record.requestId, record]))
      for (const record of pending.values()) {
        if (record.completionId === completionId) found.set(record.requestId, record)
      }
      return [...found.values()].slice(0, 2)
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      await flushing
      await flush().catch(onError)
    },
  }
}

function insert(record: AnswerRecord): Statement {
  return {
    sql: 'INSERT OR REPLACE INTO answers (request_id, completion_id, record, time) VALUES (?, ?, ?, ?)',
    params: [record.requestId, record.completionId ?? null, JSON.stringify(record), record.time],
  }
}

function read(row: SqlRow): AnswerRecord {
  return JSON.parse(String(row.record)) as AnswerRecord
}
