/** From a folder of texts and an embedder to the folder of a space; for the shipped spaces and for private ones alike. */
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import type { Space, SpaceManifest } from '../../router/space.ts'
import { createCachedEmbedder } from '../cached.ts'
import type { Embedder } from '../embedder.ts'
import { trainTables } from './codebook.ts'
import { balancedSample, readCorpus, seededRandom } from './corpus.ts'
import { goldenVectors } from './golden-texts.ts'
import { writeSpace } from './write-space.ts'

/** Longer vectors are projected to `DIMENSIONS`, others coded as they come. */
const MOST_UNPROJECTED = 128
const DIMENSIONS = 64
/** Enough for the tables to settle; more gains nothing that was seen. */
const TRAINING_TEXTS = 60_000
const EVERYDAY_TEXTS = 30_000
const COUNTED_TEXTS = 200_000
const BATCH = 64

export type TrainingStep = 'embedding' | 'codebook' | 'counting'

export interface TrainingComponents {
  embedder: Embedder
  /** Called now and then; `total` texts are to be done in this step, 0 where it cannot be told. */
  onProgress?: (step: TrainingStep, done: number, total: number) => void
}

export interface TrainingOptions {
  /** A folder of .txt files, one text a line. */
  corpus: string
  /** Another one, which the tables are made from as well but which is not counted. */
  everyday?: string | undefined
  /** The folder to write. */
  out: string
  description: SpaceManifest['embedder']
  /** What the built-in embedder has learnt, to be written beside the rest. */
  learnt?: Pick<Space, 'embedderTable' | 'teacherMap'> | undefined
  /** The same corpus and seed give the same bytes. */
  seed: number
  /** Fewer distinct texts than this are an error. @default 1 */
  leastTexts?: number
}

export interface Trained {
  /** Texts that the tables were made from, and texts that were counted. */
  sampled: number
  counted: number
}

export class CorpusTooSmallError extends Error {
  override readonly name = 'CorpusTooSmallError'
  readonly code = 'ERR_CORPUS_TOO_SMALL'
}

/** Takes about a minute of the thread it runs in. Throws a CorpusTooSmallError. */
export async function trainSpace(
  { embedder: plain, onProgress }: TrainingComponents,
  { corpus, everyday, out, description, learnt, seed, leastTexts = 1 }: TrainingOptions,
): Promise<Trained> {
  const random = seededRandom(seed)
  /** Most texts of the first sample are in the second again. */
  const embedder = plain.inline ? plain : createCachedEmbedder(plain, { entries: COUNTED_TEXTS })
  const files = await readCorpus(corpus, random)
  const distinct = files.reduce((sum, file) => sum + file.length, 0)
  if (distinct < leastTexts) {
    throw new CorpusTooSmallError(
      `the .txt files of ${corpus} hold ${distinct} distinct lines; a space is made from at least ${leastTexts}`,
    )
  }

  const others = everyday === undefined ? [] : await readCorpus(everyday, random)
  const sample = await embedAll('embedding', [
    ...balancedSample(files, TRAINING_TEXTS, random),
    ...balancedSample(others, EVERYDAY_TEXTS, random),
  ])
  onProgress?.('codebook', 0, 0)
  const raw = new Float32Array(sample.length * embedder.dimensions)
  sample.forEach((vector, row) => {
    raw.set(vector, row * embedder.dimensions)
  })
  const dimensions = embedder.dimensions > MOST_UNPROJECTED ? DIMENSIONS : embedder.dimensions
  const space = trainTables(embedder.space, raw, embedder.dimensions, dimensions, random)

  const counted = await embedAll('counting', balancedSample(files, COUNTED_TEXTS, random))
  for (const vector of counted) {
    const prefix = Number.parseInt(encode(space, dotTable(space, project(space, vector))).slice(0, 4), 16)
    space.counts[2][prefix] = (space.counts[2][prefix] as number) + 1
  }
  const golden = plain.inline ? [] : await goldenVectors(embedder, space)
  await writeSpace(out, { ...space, ...learnt, golden }, description)
  return { sampled: sample.length, counted: counted.length }

  /** In the order of `texts`; those in which there was nothing to embed are left out. */
  async function embedAll(step: TrainingStep, texts: readonly string[]): Promise<Float32Array[]> {
    const vectors: Float32Array[] = []
    for (let at = 0; at < texts.length; at += BATCH) {
      onProgress?.(step, at, texts.length)
      for (const vector of await embedder.embed(texts.slice(at, at + BATCH))) {
        if (vector.some(component => component !== 0)) vectors.push(vector)
      }
    }
    return vectors
  }
}
