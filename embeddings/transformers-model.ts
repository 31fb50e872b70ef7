/** A sentence embedder by transformers.js; only ever loaded in a process of its own, whose global `env` it sets. */
import { join } from 'node:path'
import { env, type FeatureExtractionPipeline, LogLevel, pipeline } from '@huggingface/transformers'

export interface ModelInput {
  model: string
  /** True when `model` is a folder: nothing may be fetched then. */
  local: boolean
  dtype: 'q8' | 'fp32' | 'fp16' | 'q4'
  pooling: 'mean' | 'cls'
  revision: string
  cacheFolder: string | undefined
  threads: number
}

/** One row of `dimensions` float32 for each text, in order; the rows one after another. */
export type Model = (texts: readonly string[]) => Promise<Float32Array>

export async function loadModel(input: ModelInput): Promise<Model> {
  const extract = await load(input)
  return texts => embed(extract, texts, input.pooling)
}

function load(input: ModelInput): Promise<FeatureExtractionPipeline> {
  env.logLevel = LogLevel.ERROR
  env.allowRemoteModels = !input.local
  env.allowLocalModels = input.local
  // `pipeline` lists a model's files at `main`, whatever `revision` says (huggingface/transformers.js#1751): then nothing
  // pinned could start from the cache without the hub. So the revision is written into the address and the folder.
  env.remotePathTemplate = `{model}/resolve/${encodeURIComponent(input.revision)}/`
  env.cacheDir = join(input.cacheFolder ?? env.cacheDir ?? '.', input.revision)
  return pipeline('feature-extraction', input.model, {
    dtype: input.dtype,
    device: 'cpu',
    local_files_only: input.local,
    session_options: { intraOpNumThreads: input.threads, interOpNumThreads: 1 },
  })
}

/**
 * Vectors of length 1, one after the other. A text without a token has no direction, and gets zeros. Each text runs
 * alone: int8 models scale their activations by the largest of a whole batch, so that a text's vector, and with it its
 * code, would depend on what happened to be asked at the same time.
 */
async function embed(
  extract: FeatureExtractionPipeline,
  texts: readonly string[],
  pooling: ModelInput['pooling'],
): Promise<Float32Array> {
  const outputs: Float32Array[] = []
  for (const text of texts) {
    outputs.push((await extract(text, { pooling, normalize: true })).data as Float32Array)
  }
  const width = outputs[0]?.length ?? 0
  const vectors = new Float32Array(texts.length * width)
  outputs.forEach((output, row) => {
    vectors.set(output, row * width)
  })
  return vectors.map(component => (Number.isFinite(component) ? component : 0))
}
