/** How one setting is described and read; shared by the tables of settings. */

export interface Variable<T> {
  name: string
  /** As it would be written in the environment; undefined where unset means something of its own. */
  default?: string
  help: string
  /** @throws {Error} with the second half of the sentence "NAME must be …" */
  parse(text: string): T
}

export const text = (text: string): string => text

/** Items by comma; empty ones do not count. */
export const list = (text: string): string[] =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

export const oneOf =
  <T extends string>(...values: T[]) =>
  (text: string): T => {
    const value = values.find(candidate => candidate === text)
    if (value === undefined) throw new Error(`one of ${values.join(', ')}`)
    return value
  }

export const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`a whole number from ${min} to ${max}`)
    return value
  }

export const between =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d*\.?\d+$/.test(text) || value < min || value > max) throw new Error(`a number from ${min} to ${max}`)
    return value
  }

export function onOff(text: string): boolean {
  return oneOf('on', 'off')(text) === 'on'
}
