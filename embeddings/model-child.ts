/**
 * The process in which a model runs. Native inference may abort, and takes with it whatever process it is in: as a thread of
 * the proxy, when it was terminated in the middle of a run, it took the proxy.
 */
import { writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { ModelInput } from './transformers-model.ts'

/** First one `ready` or `failed`, then one `vectors` or `failed` for each array of texts that was sent. */
export type ModelOutput =
  | { kind: 'ready'; dimensions: number }
  | { kind: 'vectors'; vectors: Float32Array }
  | { kind: 'failed'; message: string; stack: string }

if (process.send === undefined) throw new Error('model-child.ts runs as a child process only')
const send = process.send.bind(process) as (output: ModelOutput) => void

// Service managers tell every process of a service at once, but running answers may still want vectors: the parent says when.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)
process.on('disconnect', () => process.exit())
if (!process.connected) process.exit()
new Worker(new URL(`./orphan-watch${extname(import.meta.url)}`, import.meta.url), { workerData: process.ppid })
dieFirst()

try {
  const { loadModel } = await import('./transformers-model.ts')
  const model = await loadModel(JSON.parse(process.argv[2] ?? '') as ModelInput)
  const warmUp = await model(['warm up'])
  process.on('message', texts => {
    model(texts as string[]).then(vectors => send({ kind: 'vectors', vectors }), fail)
  })
  send({ kind: 'ready', dimensions: warmUp.length })
} catch (cause) {
  fail(cause)
}

/** As text, since what a library throws need not be something that can be sent. */
function fail(cause: unknown): void {
  send({ kind: 'failed', message: cause instanceof Error ? cause.message : String(cause), stack: inspect(cause) })
}

/** When the machine is out of memory, Linux ends the process with the highest score: neither the proxy nor the language model. */
function dieFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Not Linux, or not allowed: then the kernel chooses by size.
  }
}
