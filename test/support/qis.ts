/** The command line as the process it is in real life. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const MAIN = join(import.meta.dirname, '../../cli/main.ts')
const DEADLINE_MS = 120_000

export interface QisProcess extends AsyncDisposable {
  readonly child: ChildProcess
  /** What it has written so far. */
  readonly out: () => string
  readonly err: () => string
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>
}

/** @param settings environment variables; no other QIS_ variable reaches it */
export function startQis(args: readonly string[], settings: Record<string, string> = {}): QisProcess {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('QIS_')))
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...inherited, QIS_CONFIG: 'off', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text
  })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    out: () => out,
    err: () => err,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Runs one command to its end. */
export async function qis(
  args: readonly string[],
  settings?: Record<string, string>,
): Promise<{ code: number | null; out: string; err: string }> {
  await using running = startQis(args, settings)
  const code = await running.ended
  return { code, out: running.out(), err: running.err() }
}
