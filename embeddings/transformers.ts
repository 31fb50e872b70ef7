/** Sentence embedders in ONNX by transformers.js, from a folder or the hub, in a worker process: no request waits on one, or falls with it. */
import { existsSync } from 'node:fs'
import { basename, isAbsolute, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Embedder, EmbedderError, type EmbedOptions } from './embedder.ts'
import { excerpt } from './excerpt.ts'
import { type ModelProcess, ModelRunError, startModelProcess } from './model-process.ts'
import type { ModelInput } from './transformers-model.ts'

export interface TransformersOptions {
  /**
   * A folder in transformers.js layout (`config.json`, `tokenizer.json`, `onnx/`), or a hub id such as
   * `Xenova/all-MiniLM-L6-v2`. For a folder the network is never touched.
   */
  model: string
  /** Name of the space the vectors live in. Default: the last part of `model`, in lower case. */
  space?: string
  /** Which weights of the model to load. Default `q8`: `onnx/model_quantized.onnx`. */
  dtype?: ModelInput['dtype']
  /** How token vectors become one. Default `mean`. */
  pooling?: ModelInput['pooling']
  /** Hub branch, tag or commit. Default `main`; name a commit where peers must agree. */
  revision?: string
  /** Where models from the hub are kept. Default: the library's own cache. */
  cacheFolder?: string
  /** How many texts may wait before further ones are refused. Default 256. */
  maxWaiting?: number
  /** How many texts are handed to the worker at once, which runs them one by one. Default 8. */
  maxBatch?: number
  /** How many threads one run may use. Default 1: the cores belong to the language model beside us. */
  threads?: number
  /** Longer texts are cut in the middle, UTF-16 code units. Default 2,000, about the 512 tokens most models read. */
  maxUnits?: number
  /** Loading for longer, a download included, counts as failed. Default 5 minutes. */
  loadDeadlineMs?: number
  /** A worker that runs one batch for longer hangs, and is replaced. Default 30 s. */
  runDeadlineMs?: number
  /** How often a lost worker is replaced before the next success; then it stays away. Default 10. */
  maxRestarts?: number
  /** Before the first replacement; doubles with each further one, up to a minute. Default 500 ms. */
  restartDelayMs?: number
  /** Told when the worker is lost, and when another has taken its place. */
  observer?: WorkerObserver | undefined
  /** Gives up loading. */
  signal?: AbortSignal
}

export interface WorkerObserver {
  /** @param retryMs until another is started; undefined when none will be */
  workerLost(cause: EmbedderError, retryMs: number | undefined): void
  workerReplaced(): void
}

const MAX_RESTART_DELAY_MS = 60_000

interface Request {
  readonly texts: readonly string[]
  resolve(vectors: Float32Array[]): void
  reject(reason: unknown): void
}

/** Loads a model; called again for every worker that takes the place of a lost one. */
type StartProcess = (signal: AbortSignal | undefined) => Promise<ModelProcess>

/**
 * Loads the model and runs it once, so that the first request finds it warm. A worker that crashes or hangs later is
 * replaced in the background; until then every call is refused at once.
 *
 * @throws {EmbedderError} `ERR_EMBEDDER_UNAVAILABLE`, saying what was looked for, when the model cannot be had
 */
export async function createTransformersEmbedder(options: TransformersOptions): Promise<Embedder> {
  const { model, signal } = options
  signal?.throwIfAborted()
  const local = isFolder(model)
  const folder = resolve(model)
  if (local && !existsSync(folder)) {
    throw unavailable(`there is no model folder ${folder}; put the model there or name another`, undefined)
  }
  const input: ModelInput = {
    model: local ? folder : model,
    local,
    dtype: options.dtype ?? 'q8',
    pooling: options.pooling ?? 'mean',
    revision: options.revision ?? 'main',
    cacheFolder: options.cacheFolder,
    threads: options.threads ?? 1,
  }
  const { loadDeadlineMs = 300_000, runDeadlineMs = 30_000 } = options
  const start: StartProcess = signal => startModelProcess(input, { loadDeadlineMs, runDeadlineMs, signal })
  try {
    return new TransformersEmbedder(await start(signal), start, options)
  } catch (cause) {
    signal?.throwIfAborted()
    const remedy = local
      ? 'it needs config.json, tokenizer.json and onnx/ with the weights of that dtype'
      : 'check the id and that the hub can be reached, or name a local folder'
    const { message } = cause as Error
    throw unavailable(`the model ${input.model} (${input.dtype}) cannot be loaded (${message}): ${remedy}`, cause)
  }
}

class TransformersEmbedder implements Embedder {
  readonly space: string
  readonly dimensions: number
  readonly inline = false
  readonly #start: StartProcess
  readonly #maxWaiting: number
  readonly #maxBatch: number
  readonly #maxUnits: number
  readonly #maxRestarts: number
  readonly #restartDelayMs: number
  readonly #observer: WorkerObserver | undefined
  readonly #closing = new AbortController()
  /** Undefined while there is none, and then `#fault` says why. */
  #process: ModelProcess | undefined
  #fault: EmbedderError | undefined
  /** Resolves, and never rejects, when the next worker is there, or will not be. */
  #replacing: Promise<void> | undefined
  /** Workers started since the last success. */
  #restarts = 0
  /** In order of arrival; aborted requests leave it at once. */
  readonly #waiting = new Set<Request>()
  #running = false

  constructor(child: ModelProcess, start: StartProcess, options: TransformersOptions) {
    this.#start = start
    this.dimensions = child.dimensions
    this.space = options.space ?? basename(options.model).toLowerCase()
    this.#maxWaiting = options.maxWaiting ?? 256
    this.#maxBatch = options.maxBatch ?? 8
    this.#maxUnits = options.maxUnits ?? 2_000
    this.#maxRestarts = options.maxRestarts ?? 10
    this.#restartDelayMs = options.restartDelayMs ?? 500
    this.#observer = options.observer
    this.#adopt(child)
  }

  async embed(texts: readonly string[], { signal }: EmbedOptions = {}): Promise<Float32Array[]> {
    signal?.throwIfAborted()
    if (this.#fault !== undefined) throw unavailable(this.#fault.message, this.#fault.cause)
    const excerpts = texts.map(text => excerpt(text, this.#maxUnits))
    const spoken = excerpts.filter(text => text.trim() !== '')
    const vectors = spoken.length === 0 ? [] : await this.#enqueue(spoken, signal)
    let next = 0
    return excerpts.map(text =>
      text.trim() === '' ? new Float32Array(this.dimensions) : (vectors[next++] as Float32Array),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#refuse(unavailable('the embedder was closed', undefined))
    await Promise.all([this.#process?.[Symbol.asyncDispose](), this.#replacing])
  }

  #enqueue(texts: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array[]> {
    let waiting = texts.length
    for (const request of this.#waiting) waiting += request.texts.length
    if (waiting > this.#maxWaiting) {
      throw new EmbedderError('ERR_EMBEDDER_BUSY', `more than ${this.#maxWaiting} texts would wait to be embedded`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array[]>()
    const request: Request = { texts, resolve, reject }
    const abort = () => {
      this.#waiting.delete(request)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
    this.#waiting.add(request)
    void this.#dispatch()
    return promise.finally(() => signal?.removeEventListener('abort', abort))
  }

  /** Runs what waits, a batch at a time, until nothing does. */
  async #dispatch(): Promise<void> {
    if (this.#running) return
    this.#running = true
    for (let child = this.#process; child !== undefined && this.#waiting.size > 0; child = this.#process) {
      await this.#runBatch(child, this.#takeBatch())
    }
    this.#running = false
  }

  /** Whole requests, in order, as many as fit; the first whatever its size. */
  #takeBatch(): Request[] {
    const batch: Request[] = []
    let size = 0
    for (const request of this.#waiting) {
      size += request.texts.length
      if (batch.length > 0 && size > this.#maxBatch) break
      this.#waiting.delete(request)
      batch.push(request)
    }
    return batch
  }

  async #runBatch(child: ModelProcess, batch: readonly Request[]): Promise<void> {
    try {
      const vectors = await child.run(batch.flatMap(request => request.texts))
      let row = 0
      for (const request of batch) {
        request.resolve(request.texts.map(() => vectors.slice(row * this.dimensions, ++row * this.dimensions)))
      }
      this.#restarts = 0
    } catch (error) {
      const { message, cause } = error instanceof ModelRunError ? error : (this.#fault ?? this.#lose(error))
      for (const request of batch) request.reject(unavailable(message, cause))
    }
  }

  #adopt(child: ModelProcess): void {
    this.#process = child
    this.#fault = undefined
    void child.ended.then(error => this.#process === child && this.#fault === undefined && this.#lose(error))
  }

  /** Without a worker nothing can be promised: all that wait are refused, and another is started after a while. */
  #lose(error: unknown): EmbedderError {
    const { message, cause } = error as Error
    this.#process = undefined
    const lasting = this.#restarts >= this.#maxRestarts
    const outlook = lasting ? `and so did ${this.#restarts} after it` : 'another is being started'
    const fault = unavailable(`${message}; ${outlook}`, cause)
    this.#refuse(fault)
    const retryMs = Math.min(this.#restartDelayMs * 2 ** this.#restarts, MAX_RESTART_DELAY_MS)
    this.#observer?.workerLost(fault, lasting ? undefined : retryMs)
    if (!lasting) this.#replacing = this.#replace(retryMs)
    return fault
  }

  async #replace(afterMs: number): Promise<void> {
    this.#restarts++
    const { signal } = this.#closing
    try {
      await delay(afterMs, undefined, { signal, ref: false })
      const child = await this.#start(signal)
      if (signal.aborted) return void (await child[Symbol.asyncDispose]())
      this.#adopt(child)
      this.#observer?.workerReplaced()
    } catch (error) {
      if (!signal.aborted) this.#lose(error)
    }
  }

  #refuse(fault: EmbedderError): void {
    this.#fault = fault
    for (const request of this.#waiting) request.reject(unavailable(fault.message, fault.cause))
    this.#waiting.clear()
  }
}

function isFolder(model: string): boolean {
  return isAbsolute(model) || model.startsWith('.') || existsSync(model)
}

function unavailable(message: string, cause: unknown): EmbedderError {
  return new EmbedderError('ERR_EMBEDDER_UNAVAILABLE', message, { cause })
}
