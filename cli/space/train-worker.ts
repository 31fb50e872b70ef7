/** The thread that makes a space, so that the one that talks to the user can still be interrupted. */
import { parentPort, workerData } from 'node:worker_threads'
import { BUILT_IN_SPACE, readLearnt } from '../../embeddings/table.ts'
import {
  type Trained,
  type TrainingOptions,
  type TrainingStep,
  trainSpace,
} from '../../embeddings/train/train-space.ts'
import { createEmbedder, type EmbeddingConfig } from '../../proxy/embedding.ts'
import type { SpaceManifest } from '../../router/space.ts'

export interface TrainInput {
  choice: EmbeddingConfig
  /** Of the vectors; becomes the space's. */
  name: string
  /** Undefined where nobody has described the model yet. */
  description: SpaceManifest['embedder'] | undefined
  options: Omit<TrainingOptions, 'description' | 'learnt'>
}

export type TrainOutput =
  | { kind: 'progress'; step: TrainingStep; done: number; total: number }
  | { kind: 'trained'; trained: Trained }

const { choice, name, description, options } = workerData as TrainInput
const post = (message: TrainOutput) => parentPort?.postMessage(message)

const learnt = name === BUILT_IN_SPACE ? await readLearnt() : undefined
await using embedder = await createEmbedder(choice, { name, ...learnt }, { debug() {}, info() {}, warn() {} })
const described = description ?? {
  id: choice.embedderModel ?? name,
  revision: 'unpinned',
  dimensions: embedder.dimensions,
  pooling: 'mean',
}
const trained = await trainSpace(
  { embedder, onProgress: (step, done, total) => post({ kind: 'progress', step, done, total }) },
  { ...options, description: described, learnt },
)
post({ kind: 'trained', trained })
