/** What is remembered of recent answers, so that feedback may name them by request id or completion id. */
import type { Intervention } from '../router/outcome.ts'
import type { Database, Schema, SqlRow, Statement } from '../router/store/database.ts'
import { Recent } from './recent.ts'
import type { TrialMark } from './refine/trials.ts'

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
  /** Where its prompt could be refined: whether it was. */
  trial?: TrialMark
  /** What the evidence let expect when it was asked, 0..1; absent when there was none. */
  expected?: number
  /** What was seen of it that is no good; only where there is something. */
  facts?: AnswerFact[]
}

/** What reading along can tell of an answer that went wrong; no text. */
export type AnswerFact = 'cut' | 'empty' | 'bad_json' | 'bad_tool_call' | 'refused' | 'failed'

export interface AnswerIndex extends AsyncDisposable {
  /** Remembers an answer that is under way, in memory: until it has ended, its receipt alone outlives this process. */
  begun(record: AnswerRecord): void
  /**
   * Remembers what is known now that it has ended; written to disk soon after.
   * @param caller who asked, as `callers.ts` spells it; not written down
   */
  ended(record: AnswerRecord, caller?: string): void
  byRequestId(requestIds: readonly string[]): Promise<Map<string, AnswerRecord>>
  /** All answers of these ids, newest first: some servers have only a thousand different ids. At most five of each. */
  byCompletionId(completionIds: readonly string[]): Promise<Map<string, AnswerRecord[]>>
  /** The last answers that have ended, newest first. */
  recent(limit: number): Promise<AnswerRecord[]>
  /** Who asked, of one of the last answers. */
  callerOf(requestId: string): string | undefined
  /** Whether an answer is under way, whose completion id is therefore not known yet. */
  readonly underWay: boolean
  /** Calls `ended` when an answer with this id has ended; a few thousand ids are waited for at most, the last ones. */
  expect(completionId: string, ended: (record: AnswerRecord) => void): void
}

export const answerSchema: Schema = {
  part: 'answers',
  migrations: [
    `CREATE TABLE answers (
       request_id TEXT PRIMARY KEY, completion_id TEXT, record TEXT NOT NULL, time INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX answers_by_completion ON answers (completion_id, time);
     CREATE INDEX answers_by_time ON answers (time);`,
    // Rows are in order of time as it is, and an index has to be written with every answer.
    'DROP INDEX answers_by_time',
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
const MAX_ALIKE = 5
/** Answers under way, callers of answers, and completion ids waited for: so many of each are known at most. */
const MAX_KNOWN = 10_000
/** One whose end has not been told after so long has none. */
const MAX_UNDER_WAY_S = 3600

export function createAnswerIndex(
  { database, clock = Date.now, onError }: { database: Database; clock?: () => number; onError(error: unknown): void },
  options: AnswerIndexOptions = {},
): AnswerIndex {
  const { lifetimeS = 7 * 24 * 3600, maxRows = 1_000_000, maxPending = 10_000, flushMs = 200 } = options
  /** Ended and not yet on disk; oldest first. */
  const pending = new Map<string, AnswerRecord>()
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> = Promise.resolve()

  async function flush(): Promise<void> {
    while (pending.size > 0) {
      const batch = [...pending.values()].slice(0, BATCH)
      await database.write([insert(batch), ...trim()])
      // One that was noted again meanwhile is another object, and stays.
      for (const record of batch) if (pending.get(record.requestId) === record) pending.delete(record.requestId)
    }
  }
  const trim = (): Statement[] => [
    {
      sql: 'DELETE FROM answers WHERE rowid < (SELECT rowid FROM answers WHERE time >= ? ORDER BY rowid LIMIT 1)',
      params: [Math.floor(clock() / 1000) - lifetimeS],
    },
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

  const underWay = new Recent<AnswerRecord>(MAX_KNOWN)
  const callers = new Recent<string>(MAX_KNOWN)
  const expected = new Recent<(record: AnswerRecord) => void>(MAX_KNOWN)

  return {
    begun(record) {
      underWay.set(record.requestId, record)
    },
    ended(record, caller) {
      const { requestId } = record
      underWay.delete(requestId)
      if (caller !== undefined) callers.set(requestId, caller)
      // Deleted first, so that it moves to the end.
      pending.delete(requestId)
      pending.set(requestId, record)
      if (pending.size > maxPending) {
        const [oldest] = pending.keys()
        if (oldest !== undefined) pending.delete(oldest)
      }
      flushSoon()
      const { completionId } = record
      if (completionId === undefined || expected.size === 0) return
      const ended = expected.get(completionId)
      expected.delete(completionId)
      ended?.(record)
    },
    async byRequestId(requestIds) {
      const found = new Map<string, AnswerRecord>()
      const asked: string[] = []
      for (const id of requestIds) {
        const waiting = pending.get(id) ?? underWay.get(id)
        if (waiting) found.set(id, waiting)
        else asked.push(id)
      }
      if (asked.length === 0) return found
      const rows = await database.all(
        'SELECT record FROM answers WHERE request_id IN (SELECT value FROM json_each(?))',
        [JSON.stringify(asked)],
      )
      for (const record of rows.map(read)) found.set(record.requestId, record)
      return found
    },
    async byCompletionId(completionIds) {
      const found = new Map<string, Map<string, AnswerRecord>>()
      if (completionIds.length === 0) return new Map()
      for (const id of completionIds) found.set(id, new Map())
      const rows = await database.all(
        `SELECT answers.record FROM json_each(?) AS asked JOIN answers ON answers.rowid IN
           (SELECT rowid FROM answers WHERE completion_id = asked.value ORDER BY time DESC LIMIT ${MAX_ALIKE})`,
        [JSON.stringify([...found.keys()])],
      )
      for (const record of [...rows.map(read), ...pending.values()]) {
        if (record.completionId !== undefined) found.get(record.completionId)?.set(record.requestId, record)
      }
      return new Map(
        [...found].map(([id, records]) => [
          id,
          [...records.values()].sort((a, b) => b.time - a.time).slice(0, MAX_ALIKE),
        ]),
      )
    },
    async recent(limit) {
      const rows = await database.all('SELECT record FROM answers ORDER BY rowid DESC LIMIT ?', [limit])
      // What is being written may stand in both.
      const records = new Map([...pending.values()].toReversed().map(record => [record.requestId, record]))
      for (const record of rows.map(read)) if (!records.has(record.requestId)) records.set(record.requestId, record)
      return [...records.values()].slice(0, limit)
    },
    callerOf: requestId => callers.get(requestId),
    get underWay() {
      return underWay.values().some(({ time }) => time > clock() / 1000 - MAX_UNDER_WAY_S)
    },
    expect(completionId, ended) {
      expected.set(completionId, ended)
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      await flushing
      await flush().catch(onError)
    },
  }
}

/** As one text, which costs this thread a tenth of what a statement for each does. */
function insert(records: readonly AnswerRecord[]): Statement {
  return {
    sql: `INSERT OR REPLACE INTO answers (request_id, completion_id, record, time)
      SELECT value ->> 'requestId', value ->> 'completionId', value, value ->> 'time' FROM json_each(?)`,
    params: [JSON.stringify(records)],
  }
}

function read(row: SqlRow): AnswerRecord {
  return JSON.parse(String(row.record)) as AnswerRecord
}
