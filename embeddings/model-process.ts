/** One process with a loaded model, so that what breaks in it breaks nothing here: started, asked one batch at a time, and seen to end. */
import { fork } from 'node:child_process'
import { extname } from 'node:path'
import type { ModelOutput } from './model-child.ts'
import type { ModelInput } from './transformers-model.ts'

export interface ModelProcess extends AsyncDisposable {
  /** Length of every vector. */
  readonly dimensions: number
  /** Resolves, and never rejects, when the process is gone, whoever ended it; says why, and what it last wrote to stderr. */
  readonly ended: Promise<Error>
  /**
   * One vector a text, one after another. Wait for one run before asking for the next.
   *
   * @throws {ModelRunError} when the model refuses these texts; what `ended` says when the process does not survive them
   */
  run(texts: readonly string[]): Promise<Float32Array>
}

/** The model could not embed these texts; it is there for others. */
export class ModelRunError extends Error {
  override readonly name = 'ModelRunError'
  readonly code = 'ERR_MODEL_RUN'
}

export interface ModelProcessOptions {
  /** A process that loads for longer is killed. */
  loadDeadlineMs: number
  /** A process that runs for longer without an answer hangs, and is killed. */
  runDeadlineMs: number
  signal?: AbortSignal | undefined
}

/** What a process that is asked to go has left to do is at most one text. */
const GRACE_MS = 1_000
/** A killed process that is still there waits for a disk that does not answer, maybe for ever. */
const GIVE_UP_MS = 4_000
const MAX_STDERR_UNITS = 4_096

/** @throws whatever kept the model from loading; the signal's reason when aborted */
export async function startModelProcess(
  input: ModelInput,
  { loadDeadlineMs, runDeadlineMs, signal }: ModelProcessOptions,
): Promise<ModelProcess> {
  const child = fork(new URL(`./model-child${extname(import.meta.url)}`, import.meta.url), [JSON.stringify(input)], {
    // Not ours: a profile or a debugger of this process is not one of its child.
    execArgv: [],
    // In a session of its own, so that Ctrl-C does not reach it, not even before it can say that it does not listen.
    detached: true,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const ended = Promise.withResolvers<Error>()
  let pending: PromiseWithResolvers<ModelOutput> | undefined
  let said = ''
  let late: Error | undefined
  const end = (reason: Error) => {
    ended.resolve(reason)
    pending?.reject(reason)
  }
  child.on('error', cause => {
    if (child.pid === undefined) end(new Error(`the embedding process cannot be started: ${cause.message}`, { cause }))
  })
  child.on('message', output => pending?.resolve(output as ModelOutput))
  child.on('exit', (code, killedBy) => {
    const gone = () => {
      const cause = said === '' ? undefined : new Error(said)
      end(late ?? new Error(`the embedding process ended with ${killedBy ?? `code ${code}`}`, { cause }))
    }
    // Not `close` of the child, which never comes once we have disconnected.
    if (child.stderr === null || child.stderr.closed) gone()
    else child.stderr.once('close', gone)
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-MAX_STDERR_UNITS)
  })
  const kill = () => void child.kill('SIGKILL')

  /** The next message, or the end of the process; one that says nothing within the deadline is killed. */
  async function answer(deadlineMs: number, doing: string): Promise<ModelOutput> {
    pending = Promise.withResolvers<ModelOutput>()
    const timer = setTimeout(() => {
      late = new Error(`the embedding process was killed, since ${doing} took longer than ${deadlineMs} ms`)
      kill()
    }, deadlineMs)
    try {
      return await pending.promise
    } finally {
      clearTimeout(timer)
      pending = undefined
    }
  }

  async function dispose(): Promise<void> {
    // Whereupon it ends by itself.
    if (child.connected) child.disconnect()
    const killing = setTimeout(kill, GRACE_MS)
    const givingUp = setTimeout(() => {
      child.unref()
      child.stderr?.destroy()
      end(new Error('the embedding process was killed, and is still there'))
    }, GRACE_MS + GIVE_UP_MS)
    await ended.promise
    clearTimeout(killing)
    clearTimeout(givingUp)
  }

  signal?.addEventListener('abort', kill, { once: true })
  try {
    const first = await answer(loadDeadlineMs, 'loading the model')
    if (first.kind !== 'ready') throw failure(first)
    return {
      dimensions: first.dimensions,
      ended: ended.promise,
      async run(texts) {
        // Told by `ended` if it fails: then there is nobody to send to.
        child.send(texts, () => undefined)
        const output = await answer(runDeadlineMs, 'a run')
        if (output.kind === 'vectors') return output.vectors
        throw new ModelRunError('the model failed on these texts', { cause: failure(output) })
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (cause) {
    await dispose()
    signal?.throwIfAborted()
    throw cause
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

function failure(output: ModelOutput): Error {
  if (output.kind !== 'failed') return new Error(`unexpected ${output.kind}`)
  return Object.assign(new Error(output.message), { stack: output.stack })
}
