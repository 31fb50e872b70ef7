#!/usr/bin/env node
/** The one entry of the command line: finds the command, gives it the process's streams and signals, sets the exit code. */
import { constants } from 'node:os'
import { nearestName } from '../proxy/config/nearest-name.ts'
import { onStopSignal } from '../proxy/stop-signals.ts'
import { version } from '../proxy/version.ts'
import { type CommandIo, UsageError } from './command.ts'
import { type CommandEntry, commands } from './commands.ts'

const EXIT_FAILED = 1
const EXIT_USAGE = 2
/** What shells report of a process that a signal ended. */
const EXIT_SIGNALLED = 128

function help(): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return `qis: the command line of qis-sidecar

Usage: qis COMMAND [OPTIONS], or npm run qis -- COMMAND [OPTIONS]

${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

qis COMMAND --help says more, qis --version which version this is. Exit codes: 0 done, 1 failed, 2 misused or misconfigured.
`
}

function find(name: string): CommandEntry {
  const entry = commands.find(command => command.name === name)
  if (entry) return entry
  const nearest = nearestName(
    name,
    commands.map(command => command.name),
  )
  const hint = nearest === undefined ? 'qis help lists those there are' : `did you mean ${nearest}?`
  throw new UsageError(`there is no command ${name}; ${hint}`)
}

async function run([first = 'help', ...rest]: readonly string[], io: CommandIo): Promise<number> {
  if (first === '--version' || first === '-v') {
    io.out.write(`${version}\n`)
    return 0
  }
  const asksHelp = first === 'help' || isHelp(first)
  const name = asksHelp ? rest.find(arg => !arg.startsWith('-')) : first
  if (name === undefined) {
    io.out.write(help())
    return 0
  }
  const command = await find(name).load()
  const options = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest
  if (asksHelp || options.some(isHelp)) {
    io.out.write(command.usage)
    return 0
  }
  try {
    return await command.run(rest, io)
  } catch (error) {
    if (!isMisuse(error)) throw error
    throw new UsageError(`${error.message}; see qis ${name} --help`, { cause: error })
  }
}

function isHelp(arg: string): boolean {
  return arg === '--help' || arg === '-h'
}

function isMisuse(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^ERR_(USAGE|PARSE_ARGS_\w+)$/.test(String(error.code))
}

/** Errors that we foresaw have a code and a message that says what to do; of others the stack says more. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

const interrupted = new AbortController()
let exitInterrupted = EXIT_FAILED
onStopSignal(name => {
  exitInterrupted = EXIT_SIGNALLED + constants.signals[name]
  interrupted.abort()
})
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `qis … | head` has read enough.
  if (error.code === 'EPIPE') process.exit()
  throw error
})

const { signal } = interrupted
try {
  process.exitCode = await run(process.argv.slice(2), {
    out: process.stdout,
    err: process.stderr,
    env: process.env,
    signal,
  })
} catch (error) {
  if (signal.aborted && (error === signal.reason || (error instanceof Error && error.cause === signal.reason))) {
    process.exitCode = exitInterrupted
  } else {
    process.stderr.write(`qis: ${describe(error)}\n`)
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED
  }
}
