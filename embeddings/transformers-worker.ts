/**
 * The thread in which transformers.js runs: inference blocks whoever calls it, and the library's `env` is one mutable
 * global for a whole thread.
 */
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { env, type FeatureExtractionPipeline, LogLevel, pipeline } from '@huggingface/transformers'

export interface WorkerInput {
  model: string
  /** True when `model` is a folder: nothing may be fetched then. */
  local: boolean
  dtype: 'q8' | 'fp32' | 'fp16' | 'q4'
  pooling: 'mean' | 'cls'
  revision: string
  cacheFolder: string | undefined
  threads: number
}

/** First one `ready` or `failed`, then one `vectors` or `failed` for each array of texts that was posted. */
export type WorkerOutput =
  | { kind: 'ready'; dimensions: number }
  | { kind: 'vectors'; vectors: Float32Array<ArrayBuffer> }
  | { kind: 'failed'; cause: unknown }

const input = workerData as WorkerInput
const port = parentPort
if (port === null) throw new Error('transformers-worker.ts runs as a worker thread only')

const post = (output: WorkerOutput) =>
  port.postMessage(output, output.kind === 'vectors' ? [output.vectors.buffer] : [])

try {
  const extract = await load()
  const warmUp = await embed(extract, ['warm up'])
  port.on('message', (texts: string[]) => {
    embed(extract, texts).then(
      vectors => post({ kind: 'vectors', vectors }),
      cause => post({ kind: 'failed', cause }),
    )
  })
  post({ kind: 'ready', dimensions: warmUp.length })
} catch (cause) {
  post({ kind: 'failed', cause })
}

function load(): Promise<FeatureExtractionPipeline> {
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
async function embed(extract: FeatureExtractionPipeline, texts: string[]): Promise<Float32Array<ArrayBuffer>> {
  const outputs: Float32Array[] = []
  for (const text of texts) {
    outputs.push((await extract(text, { pooling: input.pooling, normalize: true })).data as Float32Array)
  }
  const width = outputs[0]?.length ?? 0
  const vectors = new Float32Array(texts.length * width)
  outputs.forEach((output, row) => {
    vectors.set(output, row * width)
  })
  return vectors.map(component => (Number.isFinite(component) ? component : 0))
}
