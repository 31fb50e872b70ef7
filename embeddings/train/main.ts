/** Makes the spaces of `embeddings/spaces/` from a folder of texts; see README.md beside this file. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import type { SpaceManifest } from '../../router/space.ts'
import type { Embedder } from '../embedder.ts'
import { SHAPE_DIMENSIONS } from '../shape.ts'
import { createStaticEmbedder } from '../static.ts'
import { BUILT_IN_SPACE, parseTable } from '../table.ts'
import { createTransformersEmbedder } from '../transformers.ts'
import { trainTables } from './codebook.ts'
import { balancedSample, readCorpus, seededRandom } from './corpus.ts'
import { writeSpace } from './write-space.ts'

/** Enough for the tables to settle; more gains nothing that was seen. */
const TRAINING_TEXTS = 60_000
/** Everyday English beside them: the corpus has questions of a few trades, and codes of anything else were coarser. */
const EVERYDAY_TEXTS = 30_000
const COUNTED_TEXTS = 200_000
const BATCH = 64

const ROOT = join(import.meta.dirname, '../..')

interface Recipe {
  description: SpaceManifest['embedder']
  /** Of the vectors that are coded. */
  dimensions: number
  create(): Promise<Embedder>
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    corpus: { type: 'string', default: join(ROOT, '../shared/data/text/corpus') },
    everyday: { type: 'string' },
    model: { type: 'string', default: join(ROOT, '../shared/models/potion-base-2M-int8') },
    out: { type: 'string', default: join(ROOT, 'embeddings/spaces') },
    seed: { type: 'string', default: '1' },
  },
})

const name = positionals[0] ?? ''
/** What the built-in embedder has learnt lies in the folder already (distil.py, pack.ts) and is pinned with the rest. */
const learnt =
  name === BUILT_IN_SPACE
    ? {
        embedderTable: await readFile(join(values.out, name, 'embedder.bin')),
        teacherMap: await readFile(join(values.out, name, 'teacher.bin')),
      }
    : undefined
const DIMENSIONS = 64 + SHAPE_DIMENSIONS

const recipes: Record<string, Recipe> = {
  [BUILT_IN_SPACE]: {
    description: { id: 'qis/sense', revision: '1', dimensions: DIMENSIONS, pooling: 'sum' },
    dimensions: DIMENSIONS,
    create: async () => createStaticEmbedder({ table: parseTable(learnt?.embedderTable ?? new Uint8Array()) }),
  },
  'potion-base-2m': {
    description: { id: 'minishlab/potion-base-2M', revision: 'int8', dimensions: 64, pooling: 'mean' },
    dimensions: 64,
    create: () => createTransformersEmbedder({ model: values.model, space: 'potion-base-2m' }),
  },
}

const recipe = recipes[name]
if (recipe === undefined) throw new Error(`name one of the spaces: ${Object.keys(recipes).join(', ')}`)

const random = seededRandom(Number(values.seed))
const files = await readCorpus(values.corpus, random)
await using embedder = await recipe.create()

const everyday = values.everyday === undefined ? [] : await readCorpus(values.everyday, random)
const sample = await embedAll([
  ...balancedSample(files, TRAINING_TEXTS, random),
  ...balancedSample(everyday, EVERYDAY_TEXTS, random),
])
const raw = new Float32Array(sample.length * embedder.dimensions)
sample.forEach((vector, row) => {
  raw.set(vector, row * embedder.dimensions)
})
const space = trainTables(name, raw, embedder.dimensions, recipe.dimensions, random)

let counted = 0
for (const vector of await embedAll(balancedSample(files, COUNTED_TEXTS, random))) {
  const prefix = Number.parseInt(encode(space, dotTable(space, project(space, vector))).slice(0, 4), 16)
  space.counts[2][prefix] = (space.counts[2][prefix] as number) + 1
  counted++
}
await writeSpace(join(values.out, name), { ...space, ...learnt }, recipe.description)
console.log(`${name}: tables from ${sample.length} texts, counts of ${counted}`)

/** In the order of `texts`; those in which there was nothing to embed are left out. */
async function embedAll(texts: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = []
  for (let at = 0; at < texts.length; at += BATCH) {
    for (const vector of await embedder.embed(texts.slice(at, at + BATCH))) {
      if (vector.some(component => component !== 0)) vectors.push(vector)
    }
  }
  return vectors
}
