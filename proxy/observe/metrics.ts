/** What observed answers tell Prometheus, under the names of OpenTelemetry's conventions for generative AI. */
import { Counter, Histogram, type Registry } from 'prom-client'
import { modelVariant } from '../../router/model-variant.ts'
import { boundedLabel, REST } from './bounded-label.ts'
import type { Observation } from './observation.ts'
import type { Operation } from './operation.ts'

export interface ObservedAnswer {
  operation: Operation
  /** As asked for; undefined when the request named none that is known. */
  model: string | undefined
  /** When the request came, `performance.now()`. */
  startedAt: number
  seen: Observation
}

export interface ObservationMetrics {
  answerObserved(answer: ObservedAnswer): void
}

/** More models than this on one server are told as one. */
const MAX_MODELS = 20
const UNKNOWN = 'unknown'

// The conventions' own buckets; first tokens may take a minute where a model has to be loaded.
const DURATIONS = Array.from({ length: 14 }, (_, power) => 0.01 * 2 ** power)
const TOKENS = Array.from({ length: 14 }, (_, power) => 4 ** power)
const FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 30, 60]
const EACH_TOKEN = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]

/** @param nameOf what a variant is called, which a client may have made up; undefined for `other` */
export function createObservationMetrics(
  registry: Registry,
  nameOf: (model: string) => string | undefined = model => model,
): ObservationMetrics {
  const registers = [registry]
  const labelNames = ['gen_ai_operation_name', 'gen_ai_request_model']
  const observations = new Counter({
    name: 'qis_observation_total',
    help: 'Answers by how far they could be read along',
    labelNames: ['result'],
    registers,
  })
  const durations = new Histogram({
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'From the arrival of a request until the last byte of its answer',
    labelNames,
    buckets: DURATIONS,
    registers,
  })
  const tokens = new Histogram({
    name: 'gen_ai_client_token_usage',
    help: 'Tokens of a request and its answer, as the server counted them',
    labelNames: [...labelNames, 'gen_ai_token_type'],
    buckets: TOKENS,
    registers,
  })
  const firstToken = new Histogram({
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: 'From the arrival of a request until the first token of its streamed answer',
    labelNames,
    buckets: FIRST_TOKEN,
    registers,
  })
  const eachToken = new Histogram({
    name: 'gen_ai_server_time_per_output_token_seconds',
    help: 'Of a streamed answer, for each token after the first',
    labelNames,
    buckets: EACH_TOKEN,
    registers,
  })
  const label = boundedLabel(MAX_MODELS)

  return {
    answerObserved({ operation, model, startedAt, seen }) {
      observations.inc({ result: seen.result })
      const { inputTokens, outputTokens, firstTokenAt, lastTokenAt, endedAt } = seen
      // Not every JSON answer is a model's; those that are say what they cost.
      if (operation === 'other' && inputTokens === undefined && outputTokens === undefined) return
      const named = model ?? seen.model
      const labels = {
        gen_ai_operation_name: operation,
        gen_ai_request_model: named === undefined ? UNKNOWN : label(nameOf(modelVariant(named)) ?? REST),
      }
      durations.observe(labels, (endedAt - startedAt) / 1000)
      if (inputTokens !== undefined) tokens.observe({ ...labels, gen_ai_token_type: 'input' }, inputTokens)
      if (outputTokens !== undefined) tokens.observe({ ...labels, gen_ai_token_type: 'output' }, outputTokens)
      if (firstTokenAt === undefined || lastTokenAt === undefined) return
      firstToken.observe(labels, (firstTokenAt - startedAt) / 1000)
      if (outputTokens !== undefined && outputTokens > 1) {
        eachToken.observe(labels, (lastTokenAt - firstTokenAt) / 1000 / (outputTokens - 1))
      }
    },
  }
}
