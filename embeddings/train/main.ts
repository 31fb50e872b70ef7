/** Makes the spaces of `embeddings/spaces/` from a folder of texts; see README.md beside this file. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { SpaceManifest } from '../../router/space.ts'
import type { Embedder } from '../embedder.ts'
import { createStaticEmbedder } from '../static.ts'
import { BUILT_IN_SPACE, parseTable, readLearnt } from '../table.ts'
import { createTransformersEmbedder } from '../transformers.ts'
import { trainSpace } from './train-space.ts'

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
    everyday: { type: 'string' },
    model: { type: 'string' },
    out: { type: 'string', default: join(ROOT, 'embeddings/spaces') },
    seed: { type: 'string', default: '1' },
  },
})

const name = positionals[0] ?? ''
/** What distil.py learnt and pack.ts has put into the folder already; it is pinned with the rest. */
const learnt = name === BUILT_IN_SPACE ? await readLearnt(join(values.out, name)) : undefined

const recipes: Record<string, Recipe> = {
  [BUILT_IN_SPACE]: {
    description: { id: 'qis/sense', revision: '1', dimensions: 56, pooling: 'sum' },
    create: async () => createStaticEmbedder(learnt && { table: parseTable(learnt.embedderTable) }),
  },
  'potion-base-2m': {
    description: { id: 'minishlab/potion-base-2M', revision: 'int8', dimensions: 64, pooling: 'mean' },
    create: () => createTransformersEmbedder({ model: values.model ?? POTION, space: 'potion-base-2m' }),
  },
}

const recipe = recipes[name]
if (recipe === undefined) throw new Error(`name one of the spaces: ${Object.keys(recipes).join(', ')}`)

await using embedder = await recipe.create()
const { sampled, counted } = await trainSpace(
  { embedder },
  {
    corpus: values.corpus,
    everyday: values.everyday,
    learnt,
    out: join(values.out, name),
    description: recipe.description,
    seed: Number(values.seed),
  },
)
console.log(`${name}: tables from ${sampled} texts, counts of ${counted}`)
