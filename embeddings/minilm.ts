/** The embedder that most deployments should choose: all-MiniLM-L6-v2 (Wang et al. 2020; Apache-2.0) by transformers.js. */
import type { Embedder } from './embedder.ts'
import { createTransformersEmbedder, type TransformersOptions } from './transformers.ts'

export const MINILM = {
  id: 'sentence-transformers/all-MiniLM-L6-v2',
  dimensions: 384,
  /** Where the int8 ONNX file is on the hub, and at which commit. */
  hub: 'Xenova/all-MiniLM-L6-v2',
  revision: '751bff37182d3f1213fa05d7196b954e230abad9',
} as const

/** The model reads 256 word pieces; longer texts are cut by us, so that it does not matter what a tokenizer file says. */
const MAX_UNITS = 1_000

export interface MiniLmOptions extends Omit<TransformersOptions, 'model' | 'space' | 'dtype' | 'pooling' | 'maxUnits'> {
  /** A folder in transformers.js layout, or another hub id of the same model. Default: the pinned hub commit. */
  model?: string | undefined
}

/**
 * The vectors as the model gives them, for which no space ships: `mapped.ts` brings them into the built-in one.
 *
 * @throws {EmbedderError} `ERR_EMBEDDER_UNAVAILABLE` when the model cannot be had
 */
export function createMiniLmEmbedder({ model, revision, ...options }: MiniLmOptions = {}): Promise<Embedder> {
  const commit = revision ?? (model === undefined ? MINILM.revision : undefined)
  return createTransformersEmbedder({
    ...options,
    model: model ?? MINILM.hub,
    ...(commit !== undefined && { revision: commit }),
    space: 'all-minilm-l6-v2',
    dtype: 'q8',
    pooling: 'mean',
    maxUnits: MAX_UNITS,
  })
}
