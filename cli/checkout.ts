/** What only a checkout has, and the package has not: the demo and the benches, run as programs of their own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'

export class NoCheckoutError extends Error {
  override readonly name = 'NoCheckoutError'
  readonly code = 'ERR_NO_CHECKOUT'
}

/** What a script of package.json runs: a file of this checkout. */
export interface Script {
  name: string
  file: string
  /** Node's own. */
  flags: readonly string[]
}

/**
 * The scripts whose names match, by what they run.
 *
 * @throws {NoCheckoutError} where they are not here
 */
export function scriptsOf(pattern: RegExp): Script[] {
  const manifest = findPackageJSON(import.meta.url)
  if (manifest === undefined) throw missing()
  const root = dirname(manifest)
  const { scripts } = JSON.parse(readFileSync(manifest, 'utf8')) as { scripts: Record<string, string> }
  const found = Object.entries(scripts).flatMap(([name, command]) => {
    const [, flags = '', file] = /^(?:exec )?node ((?:--\S+ )*)(\S+\.ts)$/.exec(command) ?? []
    if (!pattern.test(name) || file === undefined) return []
    return [{ name, file: join(root, file), flags: flags.split(' ').filter(flag => flag !== '') }]
  })
  const here = found.filter(({ file }) => existsSync(file))
  if (here.length === 0) throw missing()
  return here
}

function missing(): NoCheckoutError {
  return new NoCheckoutError('this comes with the sources and not with the package: run it in a checkout, after npm ci')
}

/** Its exit code; 1 where a signal ended it. It speaks for itself. */
export async function runScript(
  { file, flags }: Script,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const child = spawn(process.execPath, [...flags, file, ...args], { stdio: ['ignore', 'inherit', 'inherit'] })
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    signal.throwIfAborted()
    return code ?? 1
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
