/** The contract of every `qis` command, so that a test can run one with streams and an environment of its own. */
import type { Writable } from 'node:stream'

export interface CommandIo {
  /** What was asked for goes here, so that it can be piped. */
  out: Writable
  /** Progress and complaints go here. */
  err: Writable
  env: NodeJS.ProcessEnv
  /** Aborted by SIGINT and SIGTERM. */
  signal: AbortSignal
}

export interface Command {
  name: string
  /** One line, for `qis help`. */
  summary: string
  /** For `qis NAME --help`. */
  usage: string
  /**
   * Resolves with the exit code: 0 when what was asked for holds or was done, 1 when not.
   *
   * @param args what follows the command's name
   * @throws {UsageError} and what `parseArgs` throws: exit code 2; other errors with a `code`: their message, exit code 1
   */
  run(args: readonly string[], io: CommandIo): Promise<number>
}

/** The command line itself is wrong; the message says what it must be. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'ERR_USAGE'
}
