/** `qis space train`: a private space from texts of one's own, for a swarm whose members all have it. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Trained } from '../../embeddings/train/train-space.ts'
import { type EmbeddingConfig, embedderSpace, spaceFolder } from '../../proxy/embedding.ts'
import { readManifest } from '../../router/space.ts'
import { type CommandIo, UsageError } from '../command.ts'
import { createProgress } from '../progress.ts'
import { CHOICE_OPTIONS, readChoice } from './choice.ts'
import { survey, surveyText } from './survey.ts'
import type { TrainInput, TrainOutput } from './train-worker.ts'

/** With fewer, hardly any of the 256 cells would hold the 20 texts that disclosure asks for. */
const LEAST_TEXTS = 2_000

export async function train(args: readonly string[], { out, err, env, signal }: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      embedder: CHOICE_OPTIONS.embedder,
      model: CHOICE_OPTIONS.model,
      corpus: { type: 'string' },
      out: { type: 'string' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  if (values.corpus === undefined || values.out === undefined) {
    throw new UsageError('--corpus and --out must name the folder of texts and the folder to write')
  }
  if (!/^\d{1,9}$/.test(values.seed)) throw new UsageError(`--seed must be a whole number, not ${values.seed}`)
  const folder = resolve(values.out)
  if (existsSync(join(folder, 'manifest.json'))) throw new UsageError(`${folder} holds a space already; it is kept`)

  const choice = readChoice(env, values)
  const input: TrainInput = {
    choice,
    name: embedderSpace(choice),
    description: await knownDescription(choice),
    options: { corpus: resolve(values.corpus), out: folder, seed: Number(values.seed), leastTexts: LEAST_TEXTS },
  }
  const progress = createProgress(err)
  const { sampled, counted } = await runTraining(input, signal, ({ step, done, total }) => {
    progress.show(step, done, total)
  }).finally(progress.clear)
  const made = await survey(folder)
  out.write(
    values.json
      ? `${JSON.stringify({ sampled, counted, ...made })}\n`
      : `${surveyText(made)}made from     ${sampled} texts, counts of ${counted}; use it with QIS_SPACE=${folder}\n`,
  )
  return 0
}

/** What the space that is shipped for the same vectors says of their embedder. */
async function knownDescription(choice: EmbeddingConfig): Promise<TrainInput['description']> {
  try {
    return (await readManifest(spaceFolder({ ...choice, space: undefined }))).embedder
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_CONFIG_INVALID') return undefined
    throw error
  }
}

async function runTraining(
  workerData: TrainInput,
  signal: AbortSignal,
  onProgress: (progress: Extract<TrainOutput, { kind: 'progress' }>) => void,
): Promise<Trained> {
  signal.throwIfAborted()
  const worker = new Worker(new URL(`./train-worker${extname(import.meta.url)}`, import.meta.url), { workerData })
  let trained: Trained | undefined
  worker.on('message', (message: TrainOutput) => {
    if (message.kind === 'progress') onProgress(message)
    else trained = message.trained
  })
  try {
    // Rejects with what the worker threw, or when the signal is aborted.
    await once(worker, 'exit', { signal })
  } finally {
    await worker.terminate()
  }
  if (trained === undefined) throw new Error('the training ended without a space')
  return trained
}
