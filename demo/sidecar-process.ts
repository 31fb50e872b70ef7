/** Starts a sidecar as the process it is in real life, and waits until it says that it is ready. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface SidecarProcess extends AsyncDisposable {
  /** Where clients connect, `http://127.0.0.1:…`. */
  readonly data: string
  readonly admin: string
  /** libp2p multiaddrs. */
  readonly addresses: string[]
  readonly child: ChildProcess
  /** Everything it has logged, a line each. */
  readonly log: readonly string[]
}

const ROOT = join(import.meta.dirname, '..')
const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 10_000

/**
 * @param settings environment variables; ports are free ones on loopback unless set
 * @param wrapper a command that runs the one that follows it, such as `['nice']`
 * @param program what is started, with its arguments, in the place of what `npm start` starts
 */
export async function startSidecar(
  settings: Record<string, string>,
  wrapper: readonly string[] = [],
  program: readonly string[] = startCommand(),
): Promise<SidecarProcess> {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('QIS_')))
  const [command = process.execPath, ...args] = [...wrapper, ...program]
  const child = spawn(command, args, {
    cwd: ROOT,
    env: {
      ...inherited,
      // Whatever file may lie where this runs.
      QIS_CONFIG: 'off',
      QIS_DATA_LISTEN: '127.0.0.1:0',
      QIS_ADMIN_LISTEN: '127.0.0.1:0',
      QIS_P2P_LISTEN: '/ip4/127.0.0.1/tcp/0',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  const ready = Promise.withResolvers<Pick<SidecarProcess, 'data' | 'admin' | 'addresses'>>()
  createInterface({ input: child.stderr }).on('line', line => log.push(line))
  createInterface({ input: child.stdout }).on('line', line => {
    log.push(line)
    const entry = JSON.parse(line)
    if (String(entry.msg).startsWith('ready')) ready.resolve(entry)
  })
  child.once('error', ready.reject)
  // not at its exit, when its last words may not have come
  child.once('close', code => ready.reject(new Error(`the sidecar ended with code ${code}:\n${log.join('\n')}`)))
  const late = setTimeout(
    () => ready.reject(new Error(`the sidecar was not ready in time:\n${log.join('\n')}`)),
    READY_DEADLINE_MS,
  )
  try {
    const { data, admin, addresses } = await ready.promise
    return { data, admin, addresses, child, log, [Symbol.asyncDispose]: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw error
  } finally {
    clearTimeout(late)
  }
}

/** What `npm start` tells Node, for what is measured beside it. */
export function startFlags(): string[] {
  return startCommand().filter(word => word.startsWith('--'))
}

/** That of `npm start`, whose own process would stand between us and the sidecar's signals. */
function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
  const [, ...command] = scripts.start.split(' ')
  return command.map(word => (word === 'node' ? process.execPath : word))
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  await exited
  clearTimeout(late)
}
