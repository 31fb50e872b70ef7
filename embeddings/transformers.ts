/** Sentence embedders in ONNX by transformers.js, from a folder or the hub, in a worker so that no request waits on one. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { basename, extname, isAbsolute, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Embedder, EmbedderError, type EmbedOptions } from './embedder.ts'
import { excerpt } from './excerpt.ts'
import type { WorkerInput, WorkerOutput } from './transformers-worker.ts'

export interface TransformersOptions {
  /**
   * A folder in transformers.js layout (`config.json`, `tokenizer.json`, `onnx/`), or a hub id such as
   * `Xenova/all-MiniLM-L6-v2`. For a folder the network is never touched.
   */
  model: string
  /** Name of the space the vectors live in. Default: the last part of `model`, in lower case. */
  space?: string
  /** Which weights of the model to load. Default `q8`: `onnx/model_quantized.onnx`. */
  dtype?: WorkerInput['dtype']
  /** How token vectors become one. Default `mean`. */
  pooling?: WorkerInput['pooling']
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
  /** Gives up loading. */
  signal?: AbortSignal
}

interface Request {
  readonly texts: readonly string[]
  resolve(vectors: Float32Array[]): void
  reject(reason: unknown): void
}

/**
 * Loads the model and runs it once, so that the first request finds it warm.
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
  const workerData: WorkerInput = {
    model: local ? folder : model,
    local,
    dtype: options.dtype ?? 'q8',
    pooling: options.pooling ?? 'mean',
    revision: options.revision ?? 'main',
    cacheFolder: options.cacheFolder,
    threads: options.threads ?? 1,
  }
  const worker = new Worker(new URL(`./transformers-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData,
  })
  const gone = new AbortController()
  worker.once('exit', code => gone.abort(new Error(`the worker ended with code ${code}`)))
  try {
    const stop = AbortSignal.any(signal === undefined ? [gone.signal] : [gone.signal, signal])
    const [first] = (await once(worker, 'message', { signal: stop })) as [WorkerOutput]
    if (first.kind === 'ready') return new TransformersEmbedder(worker, first.dimensions, options)
    throw first.kind === 'failed' ? first.cause : new Error(`unexpected ${first.kind}`)
  } catch (cause) {
    await worker.terminate()
    signal?.throwIfAborted()
    const remedy = local
      ? 'it needs config.json, tokenizer.json and onnx/ with the weights of that dtype'
      : 'check the id and that the hub can be reached, or name a local folder'
    throw unavailable(`the model ${workerData.model} (${workerData.dtype}) cannot be loaded: ${remedy}`, cause)
  }
}

class TransformersEmbedder implements Embedder {
  readonly space: string
  readonly dimensions: number
  readonly inline = false
  readonly #worker: Worker
  readonly #maxWaiting: number
  readonly #maxBatch: number
  readonly #maxUnits: number
  /** In order of arrival; aborted requests leave it at once. */
  readonly #waiting = new Set<Request>()
  #running: Request[] = []
  #failure: { message: string; cause: unknown } | undefined

  constructor(worker: Worker, dimensions: number, options: TransformersOptions) {
    this.#worker = worker
    this.dimensions = dimensions
    this.space = options.space ?? basename(options.model).toLowerCase()
    this.#maxWaiting = options.maxWaiting ?? 256
    this.#maxBatch = options.maxBatch ?? 8
    this.#maxUnits = options.maxUnits ?? 2_000
    worker.on('message', (output: WorkerOutput) => this.#finish(output))
    worker.on('error', cause => this.#fail('the embedding worker crashed', cause))
    worker.on('exit', code => this.#fail(`the embedding worker ended with code ${code}`, undefined))
  }

  async embed(texts: readonly string[], { signal }: EmbedOptions = {}): Promise<Float32Array[]> {
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw unavailable(this.#failure.message, this.#failure.cause)
    const excerpts = texts.map(text => excerpt(text, this.#maxUnits))
    const spoken = excerpts.filter(text => text.trim() !== '')
    const vectors = spoken.length === 0 ? [] : await this.#enqueue(spoken, signal)
    let next = 0
    return excerpts.map(text =>
      text.trim() === '' ? new Float32Array(this.dimensions) : (vectors[next++] as Float32Array),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail('the embedder was closed', undefined)
    await this.#worker.terminate()
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
    this.#dispatch()
    return promise.finally(() => signal?.removeEventListener('abort', abort))
  }

  /** Sends what waits, up to a batch of it, unless a batch is under way. */
  #dispatch(): void {
    if (this.#running.length > 0) return
    const texts: string[] = []
    for (const request of this.#waiting) {
      if (texts.length > 0 && texts.length + request.texts.length > this.#maxBatch) break
      this.#waiting.delete(request)
      this.#running.push(request)
      texts.push(...request.texts)
    }
    if (texts.length > 0) this.#worker.postMessage(texts)
  }

  #finish(output: WorkerOutput): void {
    const requests = this.#running
    this.#running = []
    let row = 0
    for (const request of requests) {
      if (output.kind === 'vectors') {
        const { vectors } = output
        request.resolve(request.texts.map(() => vectors.slice(row * this.dimensions, ++row * this.dimensions)))
      } else {
        request.reject(
          unavailable('the model failed on these texts', output.kind === 'failed' ? output.cause : undefined),
        )
      }
    }
    this.#dispatch()
  }

  /** Only the first failure tells why. */
  #fail(message: string, cause: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { message, cause }
    for (const request of [...this.#running, ...this.#waiting]) request.reject(unavailable(message, cause))
    this.#running = []
    this.#waiting.clear()
  }
}

function isFolder(model: string): boolean {
  return isAbsolute(model) || model.startsWith('.') || existsSync(model)
}

function unavailable(message: string, cause: unknown): EmbedderError {
  return new EmbedderError('ERR_EMBEDDER_UNAVAILABLE', message, { cause })
}
