/** Reads a table of settings from where they may be said: environment, file, command line; the later are the stronger. */
import type { ConfigFile } from './file.ts'
import { nearestName } from './nearest-name.ts'
import { type Variable, wordsOf } from './variable.ts'

export type Table = Readonly<Record<string, Variable<unknown>>>

export interface Sources {
  environment: NodeJS.ProcessEnv
  file: ConfigFile | undefined
  /** By key. */
  flags: Flags
}

/** Given on the command line, by key. */
export type Flags = Readonly<Record<string, string | undefined>>

/** What a setting is, and where that was said. */
export interface Given {
  /** As it would be written in the environment; undefined where it is unset. */
  text: string | undefined
  from: 'default' | 'environment' | 'file' | 'flag'
  /** How its place is spelt there: `QIS_MODE`, `qis.config.yaml:3: mode`, `--mode`. */
  place: string
}

export interface Reading {
  /** By their names in the table. */
  given: Readonly<Record<string, Given>>
  values: Readonly<Record<string, unknown>>
  /** Whole sentences. */
  faults: readonly string[]
}

/** `QIS_DATA_LISTEN` → `data_listen` */
export function keyOf({ name, key }: Variable<unknown>): string {
  return key ?? name.replace(/^QIS_/, '').toLowerCase()
}

/** `data_listen` → `data-listen` */
export function flagOf(variable: Variable<unknown>): string {
  return keyOf(variable).replaceAll('_', '-')
}

/** Whose value must not be repeated where others may see it. */
export function isSecret({ name }: Variable<unknown>): boolean {
  return name.endsWith('_TOKEN')
}

/** Without what stands for a user and a password in it. */
export function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/@\s]*@/g, '//…@')
}

/** Never throws: a setting that is not as it must be is a fault, and undefined. */
export function readTable(table: Table, sources: Sources): Reading {
  const given: Record<string, Given> = {}
  const values: Record<string, unknown> = {}
  const faults: string[] = [...(sources.file?.faults ?? [])]
  for (const [id, variable] of Object.entries(table)) {
    const one = find(variable, sources)
    given[id] = one
    if (one.text === undefined) continue
    try {
      if (one.malformed === undefined) values[id] = variable.parse(one.text, one.base)
      else faults.push(`${one.place} must be ${one.malformed}; without the line it is unset`)
    } catch (error) {
      faults.push(complaint(variable, one, one.text, error))
    }
  }
  return { given, values, faults }
}

interface Found extends Given {
  base?: string
  /** What it must be, where it is no value at all. */
  malformed?: string
}

function find(variable: Variable<unknown>, { environment, file, flags }: Sources): Found {
  const key = keyOf(variable)
  const flag = flags[key]
  if (flag !== undefined) return { text: flag, from: 'flag', place: `--${flagOf(variable)}` }
  const entry = file?.entries.get(key)
  if (file && entry) {
    const place = `${file.path}:${entry.line}: ${key}`
    const malformed = entry.text === undefined || (entry.isList && !takesLists(variable))
    const expected = takesLists(variable) ? 'a list of single values, without commas in them' : 'a single value'
    return { text: entry.text ?? '', from: 'file', place, base: file.folder, ...(malformed && { malformed: expected }) }
  }
  const { name } = variable
  const said = environment[name]
  if (said !== undefined && said !== '') return { text: said, from: 'environment', place: name }
  return { text: variable.default, from: 'default', place: name }
}

function takesLists({ parse: { schema } }: Variable<unknown>): boolean {
  return ((schema.anyOf ?? []) as { type?: string }[]).some(({ type }) => type === 'array')
}

function complaint(variable: Variable<unknown>, { place }: Given, text: string, error: unknown): string {
  const expected = error instanceof Error ? error.message : String(error)
  if (isSecret(variable)) return `${place} must be ${expected}`
  const nearest = nearestName(text, wordsOf(variable.parse))
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return `${place} must be ${expected}, not ${JSON.stringify(withoutCredentials(text))}${hint}`
}
