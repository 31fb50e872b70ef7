/** Work on one thing is done one after another, work on different things at the same time. */

export interface Turns {
  /** Runs `work` when all that was asked for on `subject` before has settled. */
  take<T>(subject: string, work: () => Promise<T>): Promise<T>
  /** Resolves when nothing is under way. */
  settled(): Promise<void>
}

export function createTurns(): Turns {
  /** The last turn of each subject with work under way; bounded by the callers that wait. */
  const last = new Map<string, Promise<unknown>>()

  return {
    async take(subject, work) {
      const turn = (last.get(subject) ?? Promise.resolve()).then(work, work)
      last.set(subject, turn)
      try {
        return await turn
      } finally {
        if (last.get(subject) === turn) last.delete(subject)
      }
    },
    async settled() {
      await Promise.allSettled(last.values())
    },
  }
}
