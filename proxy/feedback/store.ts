/** Feedback as it was given, one row for each answer and source. Its texts stay in this file and never reach the router. */
import type { Database, Schema } from '../../router/store/database.ts'
import type { Said } from './opinion.ts'

export interface StoredFeedback {
  id: string
  requestId: string
  source: string
  said: Said
  idempotencyKey?: string
  /** Unix seconds. */
  createdAt: number
  updatedAt: number
}

export interface FeedbackStore {
  find(requestId: string, source: string): Promise<StoredFeedback | undefined>
  /** Resolves once it is durable. */
  put(feedback: StoredFeedback): Promise<void>
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
  ],
}

export function createFeedbackStore(database: Database, { lifetimeS = 90 * 24 * 3600 } = {}): FeedbackStore {
  return {
    async find(requestId, source) {
      const [row] = await database.all('SELECT feedback FROM feedback WHERE request_id = ? AND source = ?', [
        requestId,
        source,
      ])
      return row && (JSON.parse(String(row.feedback)) as StoredFeedback)
    },
    async put(feedback) {
      const { id, requestId, source, updatedAt } = feedback
      await database.write([
        {
          sql: 'INSERT OR REPLACE INTO feedback (id, request_id, source, feedback, updated_at) VALUES (?, ?, ?, ?, ?)',
          params: [id, requestId, source, JSON.stringify(feedback), updatedAt],
        },
        { sql: 'DELETE FROM feedback WHERE updated_at < ?', params: [updatedAt - lifetimeS] },
      ])
    },
  }
}
