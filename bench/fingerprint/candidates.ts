/** Who takes part: the embedders that ship, those whose model is at hand, each with its space. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Embedder } from '../../embeddings/embedder.ts'
import { createMappedEmbedder } from '../../embeddings/mapped.ts'
import { createMiniLmEmbedder } from '../../embeddings/minilm.ts'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { BUILT_IN_SPACE, readLearnt } from '../../embeddings/table.ts'
import { createTransformersEmbedder } from '../../embeddings/transformers.ts'

export interface Candidate {
  name: 'builtin' | 'potion' | 'minilm'
  /** Throws, saying why, when the model is not at hand. */
  create(): Promise<Embedder>
}

export const SPACES = join(import.meta.dirname, '../../embeddings/spaces')

/**
 * @param data the folder that holds `models/`
 * @param minilm folder of all-MiniLM-L6-v2 in transformers.js layout
 * @param spaces the folder that holds the built-in space, whose map brings MiniLM's vectors into it
 */
export function candidates(data: string, minilm: string, spaces: string): Candidate[] {
  const potion = join(data, 'models/potion-base-2M-int8')
  return [
    { name: 'builtin', create: async () => createStaticEmbedder() },
    {
      name: 'potion',
      create: () => fromFolder(potion, model => createTransformersEmbedder({ model, space: 'potion-base-2m' })),
    },
    {
      name: 'minilm',
      create: () =>
        fromFolder(minilm, async model => {
          const { teacherMap } = await readLearnt(join(spaces, BUILT_IN_SPACE))
          return createMappedEmbedder(await createMiniLmEmbedder({ model }), teacherMap, BUILT_IN_SPACE)
        }),
    },
  ]
}

async function fromFolder(folder: string, create: (folder: string) => Promise<Embedder>): Promise<Embedder> {
  if (!existsSync(folder)) throw new Error(`there is no ${folder}`)
  return create(folder)
}
