/** How one setting is described and read; shared by the tables of settings. */
import { resolve } from 'node:path'
import { type TSchema, Type } from '@sinclair/typebox'

/** Reads a value as it would be written in the environment, and says by a schema what it may be in a file. */
export interface Kind<T> {
  /**
   * @param base the folder that relative paths start from; that of the process unless given
   * @throws {Error} with the second half of the sentence "NAME must be …"
   */
  (text: string, base?: string): T
  readonly schema: TSchema
}

export interface Variable<T> {
  /** Of the environment variable; its key in a file and its flag are made of it. */
  name: string
  /** Where that would make a poor one. */
  key?: string
  /** As it would be written in the environment; undefined where unset means something of its own. */
  default?: string
  help: string
  /** Whether a running sidecar takes up a change when it is told to read its settings anew (SIGHUP). */
  reloads?: true
  parse: Kind<T>
}

export function kind<T>(schema: TSchema, parse: (text: string, base?: string) => T): Kind<T> {
  return Object.assign((text: string, base?: string) => parse(text, base), { schema })
}

/** A list in a file, or all in one text by comma. */
export function listSchema(item: TSchema = Type.String()): TSchema {
  return Type.Union([Type.Array(item), Type.String()])
}

export const text = kind(Type.String({ minLength: 1 }), text => text)

/** Absolute. */
export const path = kind(Type.String({ minLength: 1 }), (text, base = '') => resolve(base, text))

/** Items by comma; empty ones do not count. */
export const list = kind(listSchema(), text =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== ''),
)

export function oneOf<T extends string>(...values: T[]): Kind<T> {
  return kind(Type.Union(values.map(value => Type.Literal(value))), text => {
    const value = values.find(candidate => candidate === text)
    if (value === undefined) throw new Error(`one of ${values.join(', ')}`)
    return value
  })
}

export function whole(min: number, max: number): Kind<number> {
  return kind(Type.Integer({ minimum: min, maximum: max }), text => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`a whole number from ${min} to ${max}`)
    return value
  })
}

export function between(min: number, max: number): Kind<number> {
  return kind(Type.Number({ minimum: min, maximum: max }), text => {
    const value = Number(text)
    if (!/^\d*\.?\d+$/.test(text) || value < min || value > max) throw new Error(`a number from ${min} to ${max}`)
    return value
  })
}

/** True and false in a file. */
export const onOff = kind(
  Type.Union([Type.Boolean(), Type.Literal('on'), Type.Literal('off')]),
  text => oneOf('on', 'off')(text) === 'on',
)

/** The words that a setting may be, where it is one of a few. */
export function wordsOf({ schema }: Kind<unknown>): string[] {
  const choices = (schema.anyOf ?? []) as TSchema[]
  return choices.map(choice => choice.const as unknown).filter(word => typeof word === 'string')
}
