/** The contract of everything that turns text into vectors, so that the proxy need not know how. */

export interface EmbedOptions {
  /** Aborts the wait; work already under way for another caller may go on. */
  signal?: AbortSignal
}

export interface Embedder extends AsyncDisposable {
  /** Name of the space these vectors live in: a folder of `spaces/`, see `router/space.ts`. */
  readonly space: string
  /** Length of every vector. */
  readonly dimensions: number
  /**
   * True when `embed` costs microseconds and never leaves the calling thread, so that it may be called without a
   * deadline on the request path.
   */
  readonly inline: boolean
  /**
   * One vector of `dimensions` float32 for each text, in order, of Euclidean length 1; all zeros for a text in which
   * there is nothing to embed. Equal texts may get the same vector: it is not the caller's to change.
   *
   * @throws {EmbedderError} when the model cannot be had or the queue is full; the signal's reason when aborted
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>
}

export type EmbedderErrorCode = 'ERR_EMBEDDER_UNAVAILABLE' | 'ERR_EMBEDDER_BUSY'

export class EmbedderError extends Error {
  override readonly name = 'EmbedderError'
  readonly code: EmbedderErrorCode

  constructor(code: EmbedderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
