/** Settings on the command line: `--data-listen 127.0.0.1:9000` and so on. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { nearestName } from './nearest-name.ts'
import { type Flags, flagOf, keyOf, type Table } from './read.ts'

/** The command line names what is no setting; the message says what may have been meant. */
export class FlagUnknownError extends Error {
  override readonly name = 'FlagUnknownError'
  readonly code = 'ERR_USAGE'
}

/** Names the file of settings. */
export const FILE_FLAG = 'config'

/** For `parseArgs`. */
export function flagOptions(table: Table): Record<string, { type: 'string' }> {
  return Object.fromEntries([FILE_FLAG, ...Object.values(table).map(flagOf)].map(flag => [flag, { type: 'string' }]))
}

/**
 * @param more options that are no settings
 * @throws {FlagUnknownError}, and what `parseArgs` throws
 */
export function readFlags<const More extends ParseArgsOptionsConfig>(
  table: Table,
  args: readonly string[],
  more: More,
  allowPositionals = false,
): {
  flags: Flags
  values: ReturnType<typeof parseArgs<{ options: More; args: string[] }>>['values']
  positionals: string[]
} {
  const options = { ...flagOptions(table), ...more }
  let values: Record<string, unknown>
  let positionals: string[]
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals })
    values = parsed.values
    positionals = parsed.positionals
  } catch (error) {
    throw unknownFlag(error, Object.keys(options)) ?? error
  }
  const flags: Record<string, string> = {}
  for (const variable of Object.values(table)) {
    const value = values[flagOf(variable)]
    if (typeof value === 'string') flags[keyOf(variable)] = value
  }
  if (typeof values[FILE_FLAG] === 'string') flags[FILE_FLAG] = values[FILE_FLAG]
  return { flags, values: values as never, positionals }
}

function unknownFlag(error: unknown, names: readonly string[]): Error | undefined {
  const { code, message } = error as { code?: string; message: string }
  const [, name] = (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && /'--([^' =]+)/.exec(message)) || []
  if (name === undefined) return undefined
  const nearest = nearestName(name.replaceAll('_', '-'), names)
  const hint = nearest === undefined ? '' : `; did you mean --${nearest}?`
  return new FlagUnknownError(`there is no option --${name}${hint}`, { cause: error })
}
