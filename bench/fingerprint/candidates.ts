/** Who takes part: the embedders that ship, those whose model is at hand, each with its space. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Embedder } from '../../embeddings/embedder.ts'
import { createMiniLmEmbedder } from '../../embeddings/minilm.ts'
import { createStaticEmbedder } from '../../embeddings/static.ts'
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
 */
export function candidates(data: string, minilm: string): Candidate[] {
  const potion = join(data, 'models/potion-base-2M-int8')
  return [
    { name: 'builtin', create: async () => createStaticEmbedder() },
    {
      name: 'potion',
      create: () => fromFolder(potion, model => createTransformersEmbedder({ model, space: 'potion-base-2m' })),
    },
    { name: 'minilm', create: () => fromFolder(minilm, model => createMiniLmEmbedder({ model })) },
  ]
}

async function fromFolder(folder: string, create: (folder: string) => Promise<Embedder>): Promise<Embedder> {
  if (!existsSync(folder)) throw new Error(`there is no ${folder}`)
  return create(folder)
}
