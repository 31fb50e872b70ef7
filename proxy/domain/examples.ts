/** Guesses the domain of a question from example phrases: the nearest centroid, if it is near enough. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Embedder } from '../../embeddings/embedder.ts'
import { dot as dotAt } from '../../router/products.ts'
import type { Logger } from '../../router/telemetry.ts'

export interface Likeness {
  name: string
  /** Cosine of the question and the centroid of the domain's examples, both from the space's mean; -1..1. */
  similarity: number
  /** The least that is taken for the domain. */
  threshold: number
}

export interface Examples extends AsyncDisposable {
  /** The nearest domain, near enough or not; undefined while there are no centroids. */
  nearest(vector: Float32Array): Likeness | undefined
}

export interface ExamplesComponents {
  embedder: Embedder
  /** Of the embedder's vectors. What all texts have in common says nothing about any. */
  mean: Float32Array
  logger: Logger
}

export interface ExamplesOptions {
  /** Phrases of each domain. */
  phrases: ReadonlyMap<string, readonly string[]>
  /** Undefined to take it from the examples themselves. */
  threshold: number | undefined
  /** Before the first new try when the embedder could not be had; doubles up to a minute. @default 1000 */
  retryMs?: number
}

/**
 * As near as the nearest third of the examples are to the others of their domain, which suits any embedder: measured
 * cosines within a domain differ threefold between two.
 */
const THRESHOLD_QUANTILE = 2 / 3
/** Where no domain has two examples that could be compared. */
const FALLBACK_THRESHOLD = 0.5
const MAX_RETRY_MS = 60_000
/** Small, so that requests get their turn between them. */
const BATCH = 8

/**
 * Examples are embedded before this resolves where that takes microseconds, and else in the background.
 *
 * @throws what the embedder throws, when it is inline
 */
export async function createExamples(
  { embedder, mean, logger }: ExamplesComponents,
  { phrases, threshold, retryMs = 1_000 }: ExamplesOptions,
): Promise<Examples> {
  const stopping = new AbortController()
  let centroids: Centroid[] = []
  let least = threshold ?? FALLBACK_THRESHOLD
  const meanSquare = dot(mean, mean)

  async function learn(): Promise<void> {
    const groups: Group[] = []
    for (const [name, texts] of phrases) {
      const vectors: Float32Array[] = []
      for (let at = 0; at < texts.length; at += BATCH) {
        const batch = texts.slice(at, at + BATCH)
        for (const [i, vector] of (await embedder.embed(batch, { signal: stopping.signal })).entries()) {
          if (vector.some(component => component !== 0)) vectors.push(centred(vector, mean))
          else logger.warn({ domain: name, example: batch[i] }, 'there is nothing to embed in this example')
        }
      }
      if (vectors.length > 0) groups.push({ name, vectors })
    }
    centroids = groups.map(({ name, vectors }) => centroidOf(name, vectors, mean))
    least = threshold ?? thresholdOf(groups)
    logger.info({ domains: centroids.length, threshold: least }, 'domains can be told by their examples')
  }

  async function learnSomeTime(): Promise<void> {
    for (let delayMs = retryMs; ; delayMs = Math.min(2 * delayMs, MAX_RETRY_MS)) {
      try {
        return await learn()
      } catch (error) {
        if (stopping.signal.aborted) return
        logger.warn({ err: error, retryMs: delayMs }, 'the examples of domains could not be embedded')
      }
      await sleep(delayMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
      if (stopping.signal.aborted) return
    }
  }

  let learning: Promise<void> | undefined
  const some = Array.from(phrases.values()).some(texts => texts.length > 0)
  if (some && embedder.inline) await learn()
  else if (some) learning = learnSomeTime()

  return {
    nearest(vector) {
      let nearest: Centroid | undefined
      let most = Number.NEGATIVE_INFINITY
      for (const centroid of centroids) {
        const score = dot(vector, centroid.direction) - centroid.offset
        if (score > most) {
          most = score
          nearest = centroid
        }
      }
      if (!nearest) return undefined
      // The vector's own length is 1.
      const length = Math.sqrt(Math.max(0, 1 - 2 * dot(vector, mean) + meanSquare))
      return { name: nearest.name, similarity: length === 0 ? 0 : most / length, threshold: least }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await learning
    },
  }
}

interface Group {
  name: string
  /** From the mean, of length 1. */
  vectors: Float32Array[]
}

interface Centroid {
  name: string
  /** From the mean, of length 1. */
  direction: Float32Array
  /** What the mean itself has in this direction. */
  offset: number
}

function centroidOf(name: string, vectors: readonly Float32Array[], mean: Float32Array): Centroid {
  const direction = ofLengthOne(sumOf(vectors))
  return { name, direction, offset: dot(mean, direction) }
}

/** Each example against the others of its domain. */
function thresholdOf(groups: readonly Group[]): number {
  const similarities = groups
    .filter(({ vectors }) => vectors.length > 1)
    .flatMap(({ vectors }) => {
      const sum = sumOf(vectors)
      return vectors.map(vector => dot(ofLengthOne(sum.map((component, i) => component - (vector[i] ?? 0))), vector))
    })
    .sort((a, b) => a - b)
  return similarities[Math.floor(THRESHOLD_QUANTILE * similarities.length)] ?? FALLBACK_THRESHOLD
}

function sumOf(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(vectors[0]?.length ?? 0)
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0)
  return sum
}

function centred(vector: Float32Array, mean: Float32Array): Float32Array {
  return ofLengthOne(vector.map((component, i) => component - (mean[i] ?? 0)))
}

function ofLengthOne(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector))
  return length === 0 ? vector : vector.map(component => component / length)
}

function dot(a: Float32Array, b: Float32Array): number {
  return dotAt(a, 0, b, 0, a.length)
}
