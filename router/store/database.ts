/** SQLite behind an async contract: the synchronous engine lives in a worker, so a locked file never stalls a request. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

export type SqlValue = null | number | string | Uint8Array
export type SqlRow = Record<string, SqlValue>
export interface Statement {
  sql: string
  params?: readonly SqlValue[]
}

/** The tables of one part of the program; entry i brings its schema from version i to i + 1. */
export interface Schema {
  part: string
  migrations: readonly string[]
}

export type DatabaseErrorCode =
  | 'ERR_DATABASE_CORRUPT'
  | 'ERR_DATABASE_NEWER'
  | 'ERR_DATABASE_LOCKED'
  | 'ERR_DATABASE_FULL'
  | 'ERR_DATABASE_BUSY'
  | 'ERR_DATABASE_CLOSED'
  | 'ERR_DATABASE_FAILED'

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: DatabaseErrorCode

  constructor(code: DatabaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface Database extends AsyncDisposable {
  /** All rows of one query. */
  all(sql: string, params?: readonly SqlValue[]): Promise<SqlRow[]>
  /** Runs the statements in one transaction; resolves to the rows changed by each, once they are durable. */
  write(statements: readonly Statement[]): Promise<number[]>
}

/** The end of this process, however sudden; or that of the machine's power as well, for one disk sync a commit. */
export type Durability = 'process' | 'power'

export interface DatabaseOptions {
  /** A path, or `:memory:`. */
  file: string
  schemas: readonly Schema[]
  /** What a write that was acknowledged outlives. @default 'process' */
  durability?: Durability
  /** How long a statement waits for another process's lock. @default 2000 */
  busyTimeoutMs?: number
  /** Calls in flight beyond which new ones are refused with ERR_DATABASE_BUSY. @default 10000 */
  maxQueue?: number
}

/** What crosses to the worker and back. */
export type WorkerRequest = { id: number } & (
  | { kind: 'all'; sql: string; params: readonly SqlValue[] }
  | { kind: 'write'; statements: readonly Statement[] }
)
export type WorkerReply =
  | { id: number; rows: SqlRow[] }
  | { id: number; changes: number[] }
  | { id: number; error: { code: DatabaseErrorCode; message: string } }

/** The id of the worker's first reply, which tells whether the file could be opened. */
export const OPENED = 0

type Job = WorkerRequest extends infer R ? (R extends WorkerRequest ? Omit<R, 'id'> : never) : never

/**
 * Opens (and if need be creates or migrates) a database.
 *
 * @throws {DatabaseError} ERR_DATABASE_CORRUPT, _NEWER or _FAILED, naming the file and what to do; the file is left as it is
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { file, schemas, durability = 'process', busyTimeoutMs = 2_000, maxQueue = 10_000 } = options
  const worker = new Worker(new URL(`./database-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: { file, schemas, durability, busyTimeoutMs },
  })
  const waiting = new Map<number, PromiseWithResolvers<WorkerReply>>()
  let lastId = OPENED
  let ended: DatabaseError | undefined

  const end = (error: DatabaseError) => {
    ended ??= error
    for (const { reject } of waiting.values()) reject(ended)
    waiting.clear()
  }
  worker.on('message', (replies: WorkerReply[]) => {
    for (const reply of replies) {
      const job = waiting.get(reply.id)
      waiting.delete(reply.id)
      if (job && 'error' in reply) job.reject(new DatabaseError(reply.error.code, reply.error.message))
      else job?.resolve(reply)
    }
  })
  worker.on('error', cause => end(new DatabaseError('ERR_DATABASE_FAILED', `${file}: ${cause}`, { cause })))
  worker.on('exit', () => end(new DatabaseError('ERR_DATABASE_CLOSED', `${file} is closed`)))

  const wait = async (id: number): Promise<WorkerReply> => {
    const job = Promise.withResolvers<WorkerReply>()
    waiting.set(id, job)
    return job.promise
  }
  const call = async (job: Job): Promise<WorkerReply> => {
    if (ended) throw ended
    if (waiting.size >= maxQueue) {
      throw new DatabaseError('ERR_DATABASE_BUSY', `${maxQueue} calls are already waiting for ${file}`)
    }
    const id = ++lastId
    const reply = wait(id)
    worker.postMessage({ id, ...job })
    return reply
  }

  const close = async (): Promise<void> => {
    // The worker answers in order, so all that was asked before this is done first.
    const exited = new Promise<void>(resolve => worker.once('exit', () => resolve()))
    worker.postMessage('close')
    await exited
  }
  let closing: Promise<void> | undefined

  try {
    await wait(OPENED)
  } catch (error) {
    await worker.terminate()
    throw error
  }

  return {
    async all(sql, params = []) {
      const reply = await call({ kind: 'all', sql, params })
      return 'rows' in reply ? reply.rows : []
    },
    async write(statements) {
      const reply = await call({ kind: 'write', statements })
      return 'changes' in reply ? reply.changes : []
    },
    async [Symbol.asyncDispose]() {
      if (ended) return
      closing ??= close()
      await closing
    },
  }
}
