/** Wraps any embedder, because chat clients send the same question more than once and retries send it at once. */
import { hash } from 'node:crypto'
import type { Embedder, EmbedOptions } from './embedder.ts'

export interface CacheOptions {
  /** How many vectors are kept; the one unused for longest goes first. Default 1,000. */
  entries?: number
}

interface Run {
  readonly vector: Promise<Float32Array>
  readonly controller: AbortController
  /** How many callers still want it; when none does before it is done, it is aborted. */
  waiting: number
  done: boolean
}

/**
 * Owns `embedder`: disposing of the cache disposes of it. Equal texts get the very same vector, which nobody may change:
 * what was computed of it may be remembered by it.
 */
export function createCachedEmbedder(embedder: Embedder, { entries = 1_000 }: CacheOptions = {}): Embedder {
  /** Least recently used first. Keyed by digest, so that no user's text stays in memory. */
  const vectors = new Map<string, Float32Array>()
  const runs = new Map<string, Run>()

  async function embedOne(text: string, signal: AbortSignal | undefined): Promise<Float32Array> {
    const key = hash('sha256', text, 'base64')
    const kept = vectors.get(key)
    if (kept !== undefined) {
      vectors.delete(key)
      vectors.set(key, kept)
      return kept
    }
    const run = runs.get(key) ?? start(key, text)
    run.waiting++
    try {
      return await abortable(run.vector, signal)
    } finally {
      run.waiting--
      if (run.waiting === 0) {
        // Aborting makes an exception with its stack, which costs more than the built-in embedder does.
        if (!run.done) run.controller.abort()
        if (runs.get(key) === run) runs.delete(key)
      }
    }
  }

  function start(key: string, text: string): Run {
    const controller = new AbortController()
    const vector = embedder.embed([text], { signal: controller.signal }).then(([first]) => {
      if (first === undefined) throw new Error('the embedder returned no vector')
      if (entries > 0) vectors.set(key, first)
      const oldest = vectors.size > entries ? vectors.keys().next().value : undefined
      if (oldest !== undefined) vectors.delete(oldest)
      return first
    })
    const run: Run = { vector, controller, waiting: 0, done: false }
    const finish = () => {
      run.done = true
    }
    vector.then(finish, finish)
    runs.set(key, run)
    return run
  }

  return {
    space: embedder.space,
    dimensions: embedder.dimensions,
    inline: embedder.inline,
    async embed(texts: readonly string[], { signal }: EmbedOptions = {}) {
      signal?.throwIfAborted()
      return Promise.all(texts.map(text => embedOne(text, signal)))
    },
    [Symbol.asyncDispose]: () => embedder[Symbol.asyncDispose](),
  }
}

/** Ends the wait, not the work. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
