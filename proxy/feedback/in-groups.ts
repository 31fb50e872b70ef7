/** Does jobs in groups, one group after another: what comes while one is under way is done together in the next. */
import { DatabaseError } from '../../router/store/database.ts'

export interface GroupOptions {
  /** A group takes no more once it holds so many; what came together stays together. @default 1000 */
  maxGroup?: number
  /** Jobs that may wait. @default 10000 */
  maxWaiting?: number
}

export interface Groups<Job, Result> {
  /**
   * The results in the order of the jobs; all of them were done in one group.
   * @throws {DatabaseError} ERR_DATABASE_BUSY when too many are waiting
   */
  add(jobs: readonly Job[]): Promise<Result[]>
  /** Resolves when nothing is under way. */
  settled(): Promise<void>
}

interface Entry<Job, Result> extends PromiseWithResolvers<Result[]> {
  jobs: readonly Job[]
}

/** @param work gives the results in the order of the jobs; when it throws, none of the group was done */
export function createGroups<Job, Result>(
  work: (jobs: readonly Job[]) => Promise<Result[]>,
  { maxGroup = 1_000, maxWaiting = 10_000 }: GroupOptions = {},
): Groups<Job, Result> {
  let queue: Entry<Job, Result>[] = []
  let waiting = 0
  let running: Promise<void> | undefined

  function takeGroup(): Entry<Job, Result>[] {
    let size = 0
    let count = 0
    do size += queue[count++]?.jobs.length ?? 0
    while (count < queue.length && size + (queue[count]?.jobs.length ?? 0) <= maxGroup)
    const group = queue.slice(0, count)
    queue = queue.slice(count)
    waiting -= size
    return group
  }

  async function run(): Promise<void> {
    while (queue.length > 0) {
      const group = takeGroup()
      try {
        const results = await work(group.flatMap(({ jobs }) => jobs))
        let start = 0
        for (const { jobs, resolve } of group) {
          resolve(results.slice(start, start + jobs.length))
          start += jobs.length
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
  }

  return {
    add(jobs) {
      if (waiting + jobs.length > maxWaiting) {
        return Promise.reject(
          new DatabaseError('ERR_DATABASE_BUSY', `${waiting} pieces of feedback are already waiting`),
        )
      }
      const entry = { jobs, ...Promise.withResolvers<Result[]>() }
      queue.push(entry)
      waiting += jobs.length
      running ??= run().finally(() => {
        running = undefined
      })
      return entry.promise
    },
    async settled() {
      await running
    },
  }
}
