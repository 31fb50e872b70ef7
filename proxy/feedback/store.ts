/** Feedback as it was given, one row for each answer and source. Its texts stay in this file and never reach the router. */
import type { Database, Schema, SqlRow, SqlValue, Statement } from '../../router/store/database.ts'
import type { AnswerRecord } from '../answer-index.ts'
import { ratingOf, type Said, type Source } from './opinion.ts'

export type FeedbackStatus = 'accepted' | 'updated' | 'revoked' | 'duplicate' | 'pending'
/** `pending`: its answer has not ended yet; `expired`: it never did, so this counts for nothing. */
export type FeedbackState = 'kept' | 'pending' | 'expired'

/** What was said at one time, without texts. */
export interface Change {
  /** Unix seconds. */
  at: number
  status: FeedbackStatus | 'joined'
  said: Said
}

export interface StoredFeedback {
  id: string
  /** While pending, `?` and the completion id that is waited for. */
  requestId: string
  source: Source
  said: Said
  state: FeedbackState
  /** Unknown while pending. */
  answer?: AnswerRecord
  /** Oldest first; of very many the oldest are dropped. */
  history: Change[]
  /** Unix seconds. */
  createdAt: number
  updatedAt: number
}

/** What was answered to a request that may be repeated. */
export interface Replay {
  key: string
  /** Digest of the request's body. */
  body: string
  result: { feedback_id: string; status: FeedbackStatus }
}

export interface Batch {
  put: readonly StoredFeedback[]
  /** Ids of feedback that has become part of another. */
  drop: readonly string[]
  replays: readonly Replay[]
}

export interface FeedbackFilter {
  /** Unix seconds, by when it was first given; both inclusive. */
  since?: number
  until?: number
  /** This one and those below it: `clinical` finds `clinical.oncology`. */
  domain?: string
  model?: string
  rating?: string
  source?: string
  state?: string
  limit: number
  /** As an earlier page gave it. */
  cursor?: FeedbackCursor
}
export interface FeedbackCursor {
  createdAt: number
  id: string
}

export interface FeedbackStore {
  byRequest(requestIds: readonly string[]): Promise<StoredFeedback[]>
  byId(ids: readonly string[]): Promise<StoredFeedback[]>
  replays(keys: readonly string[]): Promise<Map<string, Replay>>
  /** In one transaction; resolves once it is durable. */
  write(batch: Batch, now: number): Promise<void>
  /** Newest first. A page may be short, or empty, though there is a next one: one call looks at a bounded number of rows. */
  list(filter: FeedbackFilter): Promise<{ entries: StoredFeedback[]; next?: FeedbackCursor }>
  pending(limit: number): Promise<StoredFeedback[]>
  /** Gives up on what has waited since before then. */
  expirePending(before: number): Promise<number>
}

export const feedbackSchema: Schema = {
  part: 'feedback',
  migrations: [
    `CREATE TABLE feedback (
       id TEXT PRIMARY KEY, request_id TEXT NOT NULL, source TEXT NOT NULL,
       feedback TEXT NOT NULL, updated_at INTEGER NOT NULL,
       UNIQUE (request_id, source)
     ) STRICT;
     CREATE INDEX feedback_by_time ON feedback (updated_at);`,
    `ALTER TABLE feedback ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE feedback ADD COLUMN state TEXT NOT NULL DEFAULT 'kept';
     ALTER TABLE feedback ADD COLUMN domain TEXT NOT NULL DEFAULT '';
     ALTER TABLE feedback ADD COLUMN model TEXT NOT NULL DEFAULT '';
     ALTER TABLE feedback ADD COLUMN rating TEXT NOT NULL DEFAULT 'none';
     UPDATE feedback SET
       created_at = json_extract(feedback, '$.createdAt'),
       rating = CASE
         WHEN json_type(feedback, '$.said.rating') = 'null' THEN 'revoked'
         WHEN json_extract(feedback, '$.said.score') > 0.5 THEN 'up'
         WHEN json_extract(feedback, '$.said.score') < 0.5 THEN 'down'
         WHEN json_extract(feedback, '$.said.score') = 0.5 THEN 'none'
         WHEN json_extract(feedback, '$.said.rating') IS NOT NULL THEN json_extract(feedback, '$.said.rating')
         WHEN json_extract(feedback, '$.said.correction') IS NOT NULL THEN 'down'
         ELSE 'none' END;
     CREATE INDEX feedback_by_creation ON feedback (created_at, id);
     CREATE INDEX feedback_waiting ON feedback (created_at) WHERE state = 'pending';
     CREATE TABLE replays (
       key TEXT PRIMARY KEY, body TEXT NOT NULL, result TEXT NOT NULL, time INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX replays_by_time ON replays (time);`,
  ],
}

export interface FeedbackStoreOptions {
  /** Seconds since it was last changed. @default 90 days */
  lifetimeS?: number
  /** @default 1000000 */
  maxRows?: number
  /** For so long a repeated request is known again. @default 24 hours */
  replayLifetimeS?: number
  /** @default 100000 */
  maxReplays?: number
}

/** Rows that one page may look at; a filter that fits few would otherwise hold up everybody's feedback. */
const MAX_SCANNED = 10_000
const DAY_S = 24 * 3600

export function createFeedbackStore(database: Database, options: FeedbackStoreOptions = {}): FeedbackStore {
  const { lifetimeS = 90 * DAY_S, maxRows = 1_000_000, replayLifetimeS = DAY_S, maxReplays = 100_000 } = options

  const trim = (now: number): Statement[] => [
    { sql: 'DELETE FROM feedback WHERE updated_at < ?', params: [now - lifetimeS] },
    { sql: 'DELETE FROM feedback WHERE rowid <= (SELECT max(rowid) FROM feedback) - ?', params: [maxRows] },
    { sql: 'DELETE FROM replays WHERE time < ?', params: [now - replayLifetimeS] },
    { sql: 'DELETE FROM replays WHERE rowid <= (SELECT max(rowid) FROM replays) - ?', params: [maxReplays] },
  ]
  const select = async (where: string, params: SqlValue[]) =>
    (await database.all(`SELECT feedback, state FROM feedback WHERE ${where}`, params)).map(read)

  return {
    async byRequest(requestIds) {
      if (requestIds.length === 0) return []
      return select('request_id IN (SELECT value FROM json_each(?))', [JSON.stringify(requestIds)])
    },
    async byId(ids) {
      if (ids.length === 0) return []
      return select('id IN (SELECT value FROM json_each(?))', [JSON.stringify(ids)])
    },
    async replays(keys) {
      if (keys.length === 0) return new Map()
      const rows = await database.all('SELECT * FROM replays WHERE key IN (SELECT value FROM json_each(?))', [
        JSON.stringify(keys),
      ])
      return new Map(rows.map(row => [String(row.key), readReplay(row)]))
    },
    async write({ put, drop, replays }, now) {
      const dropped: Statement[] = drop.map(id => ({ sql: 'DELETE FROM feedback WHERE id = ?', params: [id] }))
      const kept = replays.map(({ key, body, result }) => ({
        sql: 'INSERT OR REPLACE INTO replays (key, body, result, time) VALUES (?, ?, ?, ?)',
        params: [key, body, JSON.stringify(result), now],
      }))
      await database.write([...dropped, ...put.map(upsert), ...kept, ...trim(now)])
    },
    async list(filter) {
      const { since = 0, until = Number.MAX_SAFE_INTEGER, limit, cursor } = filter
      const within = 'created_at >= ? AND created_at <= ? AND (created_at, id) < (?, ?)'
      const range = [since, until, cursor?.createdAt ?? Number.MAX_SAFE_INTEGER, cursor?.id ?? '']
      const order = 'ORDER BY created_at DESC, id DESC'
      const { wheres, params } = conditions(filter)
      const rows = await database.all(
        `SELECT * FROM (SELECT * FROM feedback WHERE ${within} ${order} LIMIT ${MAX_SCANNED})
         WHERE ${wheres} ${order} LIMIT ?`,
        [...range, ...params, limit],
      )
      const last = rows.at(-1)
      const entries = rows.map(read)
      if (last && rows.length === limit) return { entries, next: cursorOf(last) }
      const [scanned] = await database.all(
        `SELECT created_at, id FROM feedback WHERE ${within} ${order} LIMIT 1 OFFSET ${MAX_SCANNED - 1}`,
        range,
      )
      return { entries, ...(scanned && { next: cursorOf(scanned) }) }
    },
    async pending(limit) {
      return select("state = 'pending' ORDER BY created_at DESC LIMIT ?", [limit])
    },
    async expirePending(before) {
      const [changed = 0] = await database.write([
        { sql: "UPDATE feedback SET state = 'expired' WHERE state = 'pending' AND created_at < ?", params: [before] },
      ])
      return changed
    },
  }
}

const FILTERS = {
  domain: "(domain = ?1 OR substr(domain, 1, length(?1) + 1) = ?1 || '.')",
  model: 'model = ?1',
  rating: 'rating = ?1',
  source: 'source = ?1',
  state: 'state = ?1',
} as const

/** One of few texts, since statements are prepared once each. */
function conditions(filter: FeedbackFilter): { wheres: string; params: SqlValue[] } {
  const wheres: string[] = []
  const params: SqlValue[] = []
  for (const [name, sql] of Object.entries(FILTERS)) {
    const value = filter[name as keyof typeof FILTERS]
    if (value === undefined) continue
    wheres.push(
      sql.replaceAll('?1', () => {
        params.push(value)
        return '?'
      }),
    )
  }
  return { wheres: wheres.join(' AND ') || 'true', params }
}

function upsert(feedback: StoredFeedback): Statement {
  const { id, requestId, source, said, state, answer, createdAt, updatedAt } = feedback
  return {
    sql: `INSERT INTO feedback (id, request_id, source, feedback, updated_at, created_at, state, domain, model, rating)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (id) DO UPDATE SET
            request_id = excluded.request_id, feedback = excluded.feedback, updated_at = excluded.updated_at,
            state = excluded.state, domain = excluded.domain, model = excluded.model, rating = excluded.rating`,
    params: [
      id,
      requestId,
      source,
      JSON.stringify(feedback),
      updatedAt,
      createdAt,
      state,
      answer?.domain ?? '',
      answer?.model ?? '',
      ratingOf(said),
    ],
  }
}

/** Rows of the first version had no history, and named no answer. */
function read(row: SqlRow): StoredFeedback {
  const feedback = JSON.parse(String(row.feedback)) as Omit<StoredFeedback, 'history'> & { history?: Change[] }
  return { ...feedback, state: String(row.state) as FeedbackState, history: feedback.history ?? [] }
}

function readReplay(row: SqlRow): Replay {
  return { key: String(row.key), body: String(row.body), result: JSON.parse(String(row.result)) as Replay['result'] }
}

function cursorOf(row: SqlRow): FeedbackCursor {
  return { createdAt: Number(row.created_at), id: String(row.id) }
}
