/** What a running sidecar takes up of settings that were read anew, and what has to wait for a restart. */
import { isDeepStrictEqual } from 'node:util'
import { type Config, ConfigInvalidError, checkTogether, type Settings, settings } from '../config.ts'
import { keyOf } from './read.ts'

export interface Reloaded {
  /** To go on with. */
  config: Config
  /** Keys of what changes now. */
  changed: string[]
  /** Keys of what is said otherwise than it is, and takes effect after a restart only. */
  waiting: string[]
}

/**
 * @param current as it is in force
 * @throws {ConfigInvalidError} for settings that are wrong, or that make no sense beside those that cannot change
 */
export function reloaded(current: Config, next: Settings): Reloaded {
  if (next.faults.length > 0) throw new ConfigInvalidError(next.faults.join('\n'))
  const values: Record<string, unknown> = { ...current }
  const changed: string[] = []
  const waiting: string[] = []
  for (const [id, variable] of Object.entries(settings)) {
    const value = next.values[id]
    if (isDeepStrictEqual(value, values[id])) continue
    if (variable.reloads) {
      values[id] = value
      changed.push(keyOf(variable))
    } else waiting.push(keyOf(variable))
  }
  const faults = checkTogether({ ...next, values })
  if (faults.length > 0) {
    const beside = waiting.length > 0 ? `, beside what waits for a restart (${waiting.join(', ')})` : ''
    throw new ConfigInvalidError(faults.map(fault => fault + beside).join('\n'))
  }
  return { config: values as unknown as Config, changed, waiting }
}
