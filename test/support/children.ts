/** The child processes that the code under test starts, seen without its help. */
import type { ChildProcess } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'

const CHANNEL = 'child_process'

/** Every child process that is started from now on, in order. */
export function watchChildren(): { children: ChildProcess[] } & Disposable {
  const children: ChildProcess[] = []
  const note = (message: unknown) => void children.push((message as { process: ChildProcess }).process)
  subscribe(CHANNEL, note)
  return { children, [Symbol.dispose]: () => void unsubscribe(CHANNEL, note) }
}

/** Also of processes that are not ours; one that waits to be reaped is none any more. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return false
  }
}
