/** Starts processes that hold nodes, speaks with them, freezes and kills them, and leaves none behind. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startFlags } from '../../demo/sidecar-process.ts'
import type { Call, CommandName, Commands, Reply } from './commands.ts'

export interface NodeProcess extends AsyncDisposable {
  readonly pid: number
  call<Name extends CommandName>(name: Name, input: Commands[Name]['in']): Promise<Commands[Name]['out']>
  /** Neither answers nor closes anything from now on. */
  freeze(): void
  thaw(): void
  /** Ends without a word. */
  kill(): Promise<void>
}

/** No command takes longer: a look-up is given less. */
const CALL_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 5_000

export async function startProcess(): Promise<NodeProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'qis-swarm-'))
  const child = fork(join(import.meta.dirname, 'worker.ts'), [folder], {
    execArgv: startFlags(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const awaitReply = (id: number): Promise<unknown> => {
    const reply = Promise.withResolvers<unknown>()
    waiting.set(id, reply)
    const late = setTimeout(() => reply.reject(new Error('a process of the swarm does not answer')), CALL_DEADLINE_MS)
    return reply.promise.finally(() => {
      clearTimeout(late)
      waiting.delete(id)
    })
  }
  child.on('message', (reply: Reply) => {
    if ('error' in reply) waiting.get(reply.id)?.reject(new Error(reply.error))
    else waiting.get(reply.id)?.resolve(reply.output)
  })
  child.once('exit', code => {
    for (const { reject } of waiting.values()) reject(new Error(`a process of the swarm ended with ${code}`))
  })
  await awaitReply(0)

  let calls = 0
  return {
    pid: child.pid ?? 0,
    async call<Name extends CommandName>(name: Name, input: Commands[Name]['in']) {
      const call: Call = { id: ++calls, name, input }
      const reply = awaitReply(call.id)
      child.send(call)
      return (await reply) as Commands[Name]['out']
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async kill() {
      await exitOf(child, () => child.kill('SIGKILL'))
      await rm(folder, { recursive: true, force: true })
    },
    async [Symbol.asyncDispose]() {
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      await exitOf(child, () => {
        child.kill('SIGCONT')
        child.disconnect()
      })
      clearTimeout(late)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Resolves when the process has ended, which `bringAbout` sees to. */
async function exitOf(child: ChildProcess, bringAbout: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  bringAbout()
  await exited
}
