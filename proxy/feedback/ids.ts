/** Which feedback was given on an answer, as another process reads it from the file. */
import type { DatabaseSync } from 'node:sqlite'

export function createFeedbackIds(database: DatabaseSync): (requestId: string) => string[] {
  const statement = database.prepare('SELECT id FROM feedback WHERE request_id = ? ORDER BY created_at')
  return requestId => statement.all(requestId).map(({ id }) => String(id))
}
