/** Makes the spaces of `embeddings/spaces/` from a folder of texts; see README.md beside this file. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import type { SpaceManifest } from '../../router/space.ts'
import { createCachedEmbedder } from '../cached.ts'
import type { Embedder } from '../embedder.ts'
import { createMiniLmEmbedder, MINILM } from '../minilm.ts'
import { createStaticEmbedder } from '../static.ts'
import { createTransformersEmbedder } from '../transformers.ts'
import { trainTables } from './codebook.ts'
import { balancedSample, readCorpus, seededRandom } from './corpus.ts'
import { writeSpace } from './write-space.ts'

const DIMENSIONS = 64
/** Enough for the tables to settle; more gains nothing that was seen. */
const TRAINING_TEXTS = 60_000
const COUNTED_TEXTS = 200_000
const BATCH = 64
/** By these a node knows that its model file is the one a space was made for; different in subject, form and length. */
const GOLDEN_TEXTS = [
  'How much ibuprofen may an adult take per day?',
  'Write a function that reverses a linked list in place.',
  'Which planets of the solar system have rings?',
  'I was charged twice for the same order, can you refund one of them?',
  'SELECT name, COUNT(*) FROM users GROUP BY name HAVING COUNT(*) > 1;',
  'A train leaves at 9:40 and arrives at 13:05. How long does the journey take, and how fast is it over 287 km?',
  'Summarise the following contract in three sentences for somebody who is not a lawyer.',
  'hello',
]

const ROOT = join(import.meta.dirname, '../..')
const POTION = join(ROOT, '../shared/models/potion-base-2M-int8')

interface Recipe {
  description: SpaceManifest['embedder']
  create(): Promise<Embedder>
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    corpus: { type: 'string', default: join(ROOT, '../shared/data/text/corpus') },
    model: { type: 'string' },
    out: { type: 'string', default: join(ROOT, 'embeddings/spaces') },
    seed: { type: 'string', default: '1' },
  },
})

const recipes: Record<string, Recipe> = {
  'lexical-1': {
    description: { id: 'qis/lexical', revision: '1', dimensions: 512, pooling: 'none' },
    create: async () => createStaticEmbedder(),
  },
  'potion-base-2m': {
    description: { id: 'minishlab/potion-base-2M', revision: 'int8', dimensions: 64, pooling: 'mean' },
    create: () => createTransformersEmbedder({ model: values.model ?? POTION, space: 'potion-base-2m' }),
  },
  [MINILM.space]: {
    description: { id: MINILM.id, revision: 'int8', dimensions: MINILM.dimensions, pooling: 'mean' },
    create: () => createMiniLmEmbedder({ model: values.model }),
  },
}

const name = positionals[0] ?? ''
const recipe = recipes[name]
if (recipe === undefined) throw new Error(`name one of the spaces: ${Object.keys(recipes).join(', ')}`)

const random = seededRandom(Number(values.seed))
const files = await readCorpus(values.corpus, random)
await using plain = await recipe.create()
/** Most texts of the first sample are in the second again. */
const embedder = plain.inline ? plain : createCachedEmbedder(plain, { entries: COUNTED_TEXTS })

const sample = await embedAll(balancedSample(files, TRAINING_TEXTS, random))
const raw = new Float32Array(sample.length * embedder.dimensions)
sample.forEach((vector, row) => {
  raw.set(vector, row * embedder.dimensions)
})
const space = trainTables(name, raw, embedder.dimensions, DIMENSIONS, random)

let counted = 0
for (const vector of await embedAll(balancedSample(files, COUNTED_TEXTS, random))) {
  const prefix = Number.parseInt(encode(space, dotTable(space, project(space, vector))).slice(0, 4), 16)
  space.counts[2][prefix] = (space.counts[2][prefix] as number) + 1
  counted++
}
const golden = plain.inline ? [] : await embedder.embed(GOLDEN_TEXTS)
await writeSpace(
  join(values.out, name),
  {
    ...space,
    golden: golden.map((vector, i) => ({ text: GOLDEN_TEXTS[i] as string, vector: project(space, vector) })),
  },
  recipe.description,
)
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
