/** Does what a page says, as its reader would: real shells, a terminal each, and a look at what they show. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './poll.ts'

const ROOT = join(import.meta.dirname, '../..')
const DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 20_000

export interface ShellBlock {
  /** Of the last `**Terminal X**` above it; while a sidecar runs there, another is meant. */
  readonly terminal: string
  readonly commands: string
  /** What the page says is seen then, a line each; `…` stands for anything. */
  readonly shown: readonly string[]
}

/** The blocks fenced as `sh`, each with the one fenced as `text` that follows it at once. */
export function readShellBlocks(path: string): ShellBlock[] {
  const page = readFileSync(join(ROOT, path), 'utf8')
  let terminal = 'A'
  return [...page.matchAll(/\*\*Terminal (\w)\*\*|^```sh\n([\s\S]*?)^```\n(?:```text\n([\s\S]*?)^```\n)?/gm)].flatMap(
    ([, named, commands, shown = '']) => {
      if (named !== undefined) terminal = named
      return commands === undefined
        ? []
        : [{ terminal, commands, shown: shown.split('\n').filter(line => line !== '') }]
    },
  )
}

/** Whether the lines are there, in this order. A number may be another one with as many digits after its point. */
export function shows(output: string, shown: readonly string[]): boolean {
  const lines = output.split(/\r?\n/)
  let at = 0
  return shown.every(line => {
    const found = lines.findIndex((one, index) => index >= at && patternOf(line).test(one))
    at = found + 1
    return found >= 0
  })
}

function patternOf(line: string): RegExp {
  const source = line
    .replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('…', '.*')
    .replace(/\d(?=\\\.)|(?<=\\\.\d*)\d/g, String.raw`\d`)
  return new RegExp(`^${source}$`)
}

/** A block that only looks, so that a reader who is too early looks again. */
function onlyAsks(commands: string): boolean {
  return /^curl/.test(commands) && !/\n(?! )\S/.test(commands) && !commands.includes('/qis/feedback')
}

export interface ShellReader extends AsyncDisposable {
  /**
   * @returns what was written to the terminal
   * @throws {Error} with what was seen instead, when it is not what the page shows
   */
  run(block: ShellBlock): Promise<string>
  /** Ctrl-C in all terminals, and waits until everything in them has ended. */
  leave(): Promise<void>
}

/**
 * @param settings environment variables of all terminals; no other QIS_ variable reaches them
 * @param replace by what, what stands in the page, such as its ports, is to be replaced; `qis-…` is the request id of the
 *   last answer
 */
export function createShellReader(replace: Record<string, string>, settings: Record<string, string> = {}): ShellReader {
  const terminals = new Map<string, Terminal>()
  let requestId = 'qis-…'
  const substitute = (text: string) => replaceAtOnce(text, replace)

  async function leave(): Promise<void> {
    const left = [...terminals.values()]
    terminals.clear()
    await Promise.all(left.map(terminal => terminal.end()))
  }

  return {
    async run({ terminal: name, commands, shown }) {
      const free = terminals.get(name)?.busy ? `beside ${name}` : name
      const terminal = terminals.get(free) ?? new Terminal(settings)
      terminals.set(free, terminal)
      const text = substitute(commands).replaceAll('qis-…', requestId)
      const wanted = shown.map(substitute)
      const deadline = performance.now() + (onlyAsks(commands) ? DEADLINE_MS : 0)
      let output = await terminal.run(text)
      while (!shows(output, wanted) && performance.now() < deadline) output = await terminal.run(text)
      if (!shows(output, wanted)) throw new Error(`${text}does not show\n${wanted.join('\n')}\nbut\n${output}`)
      requestId = /^x-qis-request-id: (\S+)/im.exec(output)?.[1] ?? requestId
      return output
    },
    leave,
    [Symbol.asyncDispose]: leave,
  }
}

/** What was put in is not looked at again: a port that was chosen may hold the digits of one that the page names. */
export function replaceAtOnce(text: string, replace: Record<string, string>): string {
  const escaped = Object.keys(replace).map(from => from.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  if (escaped.length === 0) return text
  return text.replace(new RegExp(escaped.join('|'), 'g'), found => replace[found] ?? found)
}

/** Ends what commands have written, which may end without a new line. */
const PROMPT = 'the shell waits; the last command ended with'

class Terminal {
  readonly #shell: ChildProcess
  #output = ''
  /** Whether a sidecar runs in it. */
  busy = false

  constructor(settings: Record<string, string>) {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('QIS_')))
    // A group of its own, all of which Ctrl-C reaches, as in a terminal.
    this.#shell = spawn('bash', ['--noprofile', '--norc'], {
      cwd: ROOT,
      env: { ...inherited, ...settings },
      detached: true,
    })
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream?.setEncoding('utf8').on('data', text => {
        this.#output += text
      })
    }
  }

  /** @returns what was written until the commands had ended, or the sidecar that they started was ready */
  async run(commands: string): Promise<string> {
    this.#output = ''
    const starts = commands.endsWith('npm start\n')
    this.#shell.stdin?.write(starts ? commands : `${commands}printf '\\n%s\\n' "${PROMPT} $?"\n`)
    const last = starts ? '"msg":"ready' : PROMPT
    const seen = () => this.#output.includes(last) && this.#output.endsWith('\n')
    await until('its end', seen, { deadlineMs: DEADLINE_MS }).catch(cause => {
      throw new Error(`${commands}${cause.message}; it shows\n${this.#output}`, { cause })
    })
    this.busy = starts
    if (starts || this.#output.endsWith(`${PROMPT} 0\n`)) return this.#output
    throw new Error(`${commands}fails:\n${this.#output}`)
  }

  async end(): Promise<void> {
    const { pid, exitCode } = this.#shell
    if (pid === undefined || exitCode !== null) return
    const closed = once(this.#shell, 'close')
    const late = setTimeout(() => process.kill(-pid, 'SIGKILL'), STOP_DEADLINE_MS)
    this.#shell.stdin?.end()
    process.kill(-pid, 'SIGINT')
    await closed
    clearTimeout(late)
  }
}
