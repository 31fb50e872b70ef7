/** Reads the files that settings name, YAML or JSON, and says in one line which field is not as it must be. */
import { readFile } from 'node:fs/promises'
import type { Static, TSchema } from '@sinclair/typebox'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'
import { ConfigInvalidError } from './config.ts'

/** @throws {ConfigInvalidError} naming the setting and the file */
export async function readYamlFile(setting: string, file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ConfigInvalidError(`${setting}: ${file} cannot be read (${cause.code})`, { cause })
  })
  const { parse } = await import('yaml')
  try {
    // JSON is YAML as well.
    return parse(text)
  } catch (cause) {
    const [first = ''] = String(cause instanceof Error ? cause.message : cause).split('\n')
    throw new ConfigInvalidError(`${setting}: ${file} is neither YAML nor JSON: ${first}`, { cause })
  }
}

/**
 * @param check of a schema whose descriptions say what each field must be
 * @throws {ConfigInvalidError} whose message begins with `where` and names the field
 */
export function checkedAgainst<T extends TSchema>(check: TypeCheck<T>, value: unknown, where: string): Static<T> {
  if (check.Check(value)) return value
  const fault = check.Errors(value).First()
  throw new ConfigInvalidError(`${where}: ${fault ? explained(fault) : 'is not valid'}`)
}

/** Values are not repeated: somebody may have put a key where its hash belongs. */
function explained({ path, type, schema: { description } }: ValueError): string {
  if (type !== ValueErrorType.ObjectAdditionalProperties) return `${spelt(path)} ${description}`
  return `${spelt(path)} is unknown; ${spelt(path.slice(0, path.lastIndexOf('/')))} ${description}`
}

/** `/domains/law/paths/0` → `domains.law.paths[0]` */
export function spelt(path: string): string {
  if (path === '') return 'it'
  return path
    .slice(1)
    .replaceAll(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
}
