/** Running averages of outcomes, in which no peer counts for more than a bounded number of them. */

/** Sum and count of signals. */
export interface Tally {
  n: number
  sum: number
}

export interface Tallies {
  /** Adds one outcome, or, by a negative weight, takes it back. */
  count(subject: string, author: string, signal: number, weight: number): void
  /** What everyone says, each author's voice scaled down to the cap. */
  all(subject: string): Tally
  /** What one author says, in full. */
  of(subject: string, author: string): Tally
  /** What each author says, in full. */
  voices(subject: string): Iterable<readonly [author: string, said: Tally]>
  subjects(): Iterable<string>
}

interface Subject {
  byAuthor: Map<string, Tally>
  all: Tally
}

/** Weights are no less than a twentieth; what adding and taking back leaves is far less than this. */
const ROUNDING = 1e-6

const NOTHING: Readonly<Tally> = { n: 0, sum: 0 }

/** @param capOf how many outcomes of an author count at most; the average of what it says stays */
export function createTallies(capOf: (author: string) => number): Tallies {
  const subjects = new Map<string, Subject>()

  const addCapped = (to: Tally, tally: Tally, author: string, direction: 1 | -1) => {
    const scale = Math.min(1, capOf(author) / Math.max(tally.n, 1))
    to.n += direction * tally.n * scale
    to.sum += direction * tally.sum * scale
  }

  return {
    count(name, author, signal, weight) {
      const subject = subjects.get(name) ?? { byAuthor: new Map<string, Tally>(), all: { n: 0, sum: 0 } }
      subjects.set(name, subject)
      const tally = subject.byAuthor.get(author) ?? { n: 0, sum: 0 }
      addCapped(subject.all, tally, author, -1)
      tally.n += weight
      tally.sum += weight * signal
      addCapped(subject.all, tally, author, 1)
      if (tally.n > ROUNDING) subject.byAuthor.set(author, tally)
      else subject.byAuthor.delete(author)
      // Starting anew also ends what rounding has left.
      if (subject.byAuthor.size === 0) subjects.delete(name)
    },
    all: name => subjects.get(name)?.all ?? NOTHING,
    voices: name => subjects.get(name)?.byAuthor ?? [],
    subjects: () => subjects.keys(),
    of: (name, author) => subjects.get(name)?.byAuthor.get(author) ?? NOTHING,
  }
}
