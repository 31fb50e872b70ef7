/** One worker thread with a loaded model: started, asked one batch at a time, and seen to end. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { WorkerInput, WorkerOutput } from './transformers-worker.ts'

export interface ModelThread extends AsyncDisposable {
  /** Length of every vector. */
  readonly dimensions: number
  /** Resolves, and never rejects, when the thread is gone, whoever ended it; says why. */
  readonly ended: Promise<Error>
  /**
   * One vector a text, one after another. Wait for one run before asking for the next.
   *
   * @throws {ModelRunError} when the model refuses these texts; what `ended` says when the thread does not survive them
   */
  run(texts: readonly string[]): Promise<Float32Array>
}

/** The model could not embed these texts; it is there for others. */
export class ModelRunError extends Error {
  override readonly name = 'ModelRunError'
  readonly code = 'ERR_MODEL_RUN'
}

export interface ModelThreadOptions {
  /** A thread that loads for longer is ended. */
  loadDeadlineMs: number
  /** A thread that runs for longer without an answer hangs, and is ended. */
  runDeadlineMs: number
  signal?: AbortSignal | undefined
}

/** @throws whatever kept the model from loading; the signal's reason when aborted */
export async function startModelThread(
  input: WorkerInput,
  { loadDeadlineMs, runDeadlineMs, signal }: ModelThreadOptions,
): Promise<ModelThread> {
  const worker = new Worker(new URL(`./transformers-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: input,
  })
  const ended = Promise.withResolvers<Error>()
  let pending: PromiseWithResolvers<WorkerOutput> | undefined
  let crash: unknown
  let late: Error | undefined
  worker.on('error', error => {
    crash = error
  })
  worker.on('message', (output: WorkerOutput) => pending?.resolve(output))
  worker.on('exit', code => {
    const reason = late ?? new Error(`the embedding worker ended with code ${code}`, { cause: crash })
    ended.resolve(reason)
    pending?.reject(reason)
  })

  /** The next message, or the end of the thread; a thread that says nothing within the deadline is made to end. */
  async function answer(deadlineMs: number, doing: string): Promise<WorkerOutput> {
    pending = Promise.withResolvers<WorkerOutput>()
    const timer = setTimeout(() => {
      late = new Error(`the embedding worker was ended, since ${doing} took longer than ${deadlineMs} ms`)
      void worker.terminate()
    }, deadlineMs)
    try {
      return await pending.promise
    } finally {
      clearTimeout(timer)
      pending = undefined
    }
  }

  const leave = () => void worker.terminate()
  signal?.addEventListener('abort', leave, { once: true })
  try {
    const first = await answer(loadDeadlineMs, 'loading the model')
    if (first.kind !== 'ready') throw first.kind === 'failed' ? first.cause : new Error(`unexpected ${first.kind}`)
    return {
      dimensions: first.dimensions,
      ended: ended.promise,
      async run(texts) {
        worker.postMessage(texts)
        const output = await answer(runDeadlineMs, 'a run')
        if (output.kind === 'vectors') return output.vectors
        const cause = output.kind === 'failed' ? output.cause : undefined
        throw new ModelRunError('the model failed on these texts', { cause })
      },
      async [Symbol.asyncDispose]() {
        await worker.terminate()
      },
    }
  } catch (cause) {
    await worker.terminate()
    signal?.throwIfAborted()
    throw cause
  } finally {
    signal?.removeEventListener('abort', leave)
  }
}
