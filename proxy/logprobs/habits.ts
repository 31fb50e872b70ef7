/** Remembers for a while what servers write where they were not asked for logprobs, and which refuse to be asked. */
import type { Habit } from './choices.ts'

export interface Habits {
  /** `never` to ask; undefined when it has to be found out first. */
  of(key: string): Habit | 'never' | undefined
  learn(key: string, habit: Habit | 'never'): void
}

/** A server may be upgraded, or its model changed for another of the same name. */
const LIFETIME_MS = 3_600_000
const MAX_KEYS = 256

/** @param now milliseconds */
export function createHabits(now: () => number): Habits {
  const known = new Map<string, { habit: Habit | 'never'; until: number }>()
  return {
    of(key) {
      const found = known.get(key)
      if (found && found.until > now()) return found.habit
      known.delete(key)
      return undefined
    },
    learn(key, habit) {
      known.delete(key)
      if (known.size >= MAX_KEYS) known.delete(known.keys().next().value ?? '')
      known.set(key, { habit, until: now() + LIFETIME_MS })
    },
  }
}
