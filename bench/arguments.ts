/** What a bench can be told, and what its `--help` says of that: one table for both, so that nothing goes unsaid. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util'

/** `help` says what the value is, with its unit. */
export type Argument = ParseArgsOptionDescriptor & { help: string }

const EXIT_MISUSED = 2

/**
 * What the command line says; `--help` and what is not understood end the process.
 *
 * @param file the bench itself, whose first comment says what it is for
 */
export function readArguments<const T extends Record<string, Argument>>(file: string, table: T) {
  try {
    const { help } = parseArgs({ options: { help: { type: 'boolean' } }, strict: false }).values
    if (help) {
      process.stdout.write(usage(file, table))
      process.exit()
    }
    return parseArgs({ options: table }).values
  } catch (error) {
    process.stderr.write(`${basename(file)}: ${error instanceof Error ? error.message : error}\n${usage(file, table)}`)
    process.exit(EXIT_MISUSED)
  }
}

/** The first comment of the file, and a line for each option. */
export function usage(file: string, table: Readonly<Record<string, Argument>>): string {
  const [, comment = ''] = /\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, 'utf8')) ?? []
  const about = comment.replace(/^ *\* ?/gm, '').trim()
  const rows = Object.entries(table).map(([name, { type, help, default: standard }]) => [
    `--${name}${type === 'string' ? ' VALUE' : ''}`,
    standard === undefined || standard === false ? help : `${help} [${standard}]`,
  ])
  const width = Math.max(...rows.map(([name = '']) => name.length))
  return `${about}\n\nOptions:\n${rows.map(([name = '', text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')}\n`
}
