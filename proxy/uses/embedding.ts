/** Embeds what our own endpoints are sent: in small steps, so that proxied requests get their turn, and under a deadline. */
import { setImmediate } from 'node:timers/promises'
import { type Embedder, EmbedderError } from '../../embeddings/embedder.ts'
import { HttpError } from '../errors.ts'
import { cut } from '../query/long-text.ts'

/** A step is so many texts or characters at most: milliseconds with the built-in embedder. */
const STEP_TEXTS = 16
const STEP_CHARS = 16_000

/** @throws {HttpError} embedder_unavailable when it is away, busy or too slow */
export async function embedTexts(
  embedder: Embedder,
  texts: readonly string[],
  { deadlineMs, left }: { deadlineMs: number; left: AbortSignal },
): Promise<Float32Array[]> {
  const signal = AbortSignal.any([left, AbortSignal.timeout(deadlineMs)])
  const vectors: Float32Array[] = []
  try {
    for (let at = 0; at < texts.length; ) {
      const step: string[] = []
      let chars = 0
      while (at < texts.length && step.length < STEP_TEXTS && chars < STEP_CHARS) {
        const text = cut(texts[at++] ?? '')
        step.push(text)
        chars += text.length
      }
      signal.throwIfAborted()
      vectors.push(...(await embedder.embed(step, { signal })))
      if (at < texts.length) await setImmediate()
    }
    return vectors
  } catch (cause) {
    if (signal.aborted) {
      throw new HttpError('embedder_unavailable', `the embedder has not done it in ${deadlineMs} ms`, { cause })
    }
    if (cause instanceof EmbedderError) {
      throw new HttpError('embedder_unavailable', `the embedder cannot do it now (${cause.code}); try again`, { cause })
    }
    throw cause
  }
}

/** False for a text in which there was nothing to embed. */
export function saysSomething(vector: Float32Array): boolean {
  return vector.some(component => component !== 0)
}
