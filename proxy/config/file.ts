/** The file of settings, YAML: which lines say what, with the text that each would have in the environment. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { nearestName } from './nearest-name.ts'

/** What one line of it says. */
export interface FileEntry {
  line: number
  /** Undefined where it is neither a single value nor a list of such. */
  text: string | undefined
  isList: boolean
}

export interface ConfigFile {
  path: string
  /** Relative paths in it start here. */
  folder: string
  entries: ReadonlyMap<string, FileEntry>
  /** Whole sentences, each with its place. */
  faults: readonly string[]
}

/** Looked for where the process runs, unless `QIS_CONFIG` names another. */
export const DEFAULT_FILE = 'qis.config.yaml'
export const FILE_VARIABLE = 'QIS_CONFIG'
const NO_FILE = 'off'
const MAX_BYTES = 1024 * 1024
/** Of a path that is no file's, when it is repeated. */
const MAX_NAMED_CHARS = 200

/**
 * Undefined where there is none, and none was asked for. Never throws: what is wrong with it is in `faults`.
 *
 * @param named by the environment or the command line; `off` for none
 * @param keys those that it may hold
 */
export function readConfigFile(named: string | undefined, keys: readonly string[]): ConfigFile | undefined {
  if (named === NO_FILE) return undefined
  const path = named ?? DEFAULT_FILE
  const folder = dirname(resolve(path))
  const failed = (why: string): ConfigFile => ({ path, folder, entries: new Map(), faults: [`${path}: ${why}`] })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    if (named === undefined) return code === 'ENOENT' ? undefined : failed(`it cannot be read (${code})`)
    const fault = `${FILE_VARIABLE} or --config names ${path.slice(0, MAX_NAMED_CHARS)}, which cannot be read (${code})`
    return { path, folder, entries: new Map(), faults: [fault] }
  }
  if (text.length > MAX_BYTES) return failed(`it is larger than ${MAX_BYTES} bytes`)
  return { path, folder, ...parse(path, text, keys) }
}

function parse(path: string, text: string, keys: readonly string[]): Pick<ConfigFile, 'entries' | 'faults'> {
  // Loaded only where there is a file: it would slow every start.
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const entries = new Map<string, FileEntry>()
  const faults = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${path}:${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`,
  )
  if (faults.length > 0) return { entries, faults }
  const { contents } = document
  if (contents === null) return { entries, faults }
  if (!yaml.isMap(contents)) return { entries, faults: [`${path}:1: it must hold settings, each as KEY: VALUE`] }
  for (const { key, value } of contents.items) {
    const name = yaml.isScalar(key) ? String(key.value) : ''
    const line = yaml.isNode(key) && key.range ? lines.linePos(key.range[0]).line : 1
    const said: unknown = yaml.isNode(value) ? value.toJS(document) : null
    if (keys.includes(name)) entries.set(name, { line, text: textOf(said), isList: Array.isArray(said) })
    else faults.push(`${path}:${line}: there is no setting ${name}; ${hint(name, keys)}`)
  }
  return { entries, faults }
}

function hint(name: string, keys: readonly string[]): string {
  // As it is called in the environment, or as a flag.
  const meant = name.toLowerCase().replaceAll('-', '_').replace(/^qis_/, '')
  const nearest = keys.includes(meant) ? meant : nearestName(meant, keys)
  return nearest === undefined ? 'qis config schema lists those there are' : `did you mean ${nearest}?`
}

/** As it would be written in the environment. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (!Array.isArray(value)) return undefined
  const items = value.map(item => (Array.isArray(item) ? undefined : textOf(item)))
  return items.every(item => item !== undefined && !item.includes(',')) ? items.join(', ') : undefined
}
