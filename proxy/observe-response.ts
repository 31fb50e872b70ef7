/** Reads a copy of an answer for its id, model and confidence; it may give up, but it never touches the original. */
import type { Readable } from 'node:stream'

export interface Observation {
  /** As `chatcmpl-…`; undefined when the answer had none or could not be read. */
  completionId: string | undefined
  model: string | undefined
  /** Mean token probability from the answer's own logprobs, 0..1. */
  confidence: number | undefined
}

/** A longer answer is observed up to here: its first event still has its id. */
const MAX_OBSERVED_BYTES = 1024 * 1024

/**
 * Calls `done` once, when the answer has ended well. Must be called after the answer has been piped to the client: a
 * listener on a stream that flows already takes nothing from it and holds nothing up.
 */
export function observeResponse(
  stream: Readable,
  { type, encoded }: { type: string; encoded: boolean },
  done: (observation: Observation) => void,
): void {
  const events = type.startsWith('text/event-stream')
  if (!stream.readableFlowing || encoded) return
  if (!events && !type.startsWith('application/json')) return

  const chunks: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    if (length >= MAX_OBSERVED_BYTES) return
    chunks.push(chunk)
    length += chunk.length
  })
  stream.once('end', () => {
    const text = Buffer.concat(chunks).toString('utf8')
    done(summarise(events ? eventData(text) : [text]))
  })
}

/** The data of each server-sent event, whatever the line ends; an event cut short at the bound is left out by the parser. */
function eventData(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .filter(line => line.startsWith('data:'))
    .map(line => line.slice('data:'.length).trim())
}

function summarise(documents: readonly string[]): Observation {
  const observation: Observation = { completionId: undefined, model: undefined, confidence: undefined }
  let probability = 0
  let tokens = 0
  for (const document of documents) {
    const answer = parse(document)
    if (!answer) continue
    observation.completionId ??= nonEmptyString(answer.id)
    observation.model ??= nonEmptyString(answer.model)
    for (const logprob of logprobs(answer)) {
      probability += Math.exp(Math.min(0, logprob))
      tokens++
    }
  }
  if (tokens > 0) observation.confidence = probability / tokens
  return observation
}

/** Token logprobs of the first choice: chat `logprobs.content[].logprob`, completions `logprobs.token_logprobs[]`. */
function logprobs(answer: Record<string, unknown>): number[] {
  const choice = Array.isArray(answer.choices) ? asRecord(answer.choices[0]) : undefined
  const found = asRecord(choice?.logprobs)
  if (Array.isArray(found?.content)) return found.content.map(token => asRecord(token)?.logprob).filter(isNumber)
  return Array.isArray(found?.token_logprobs) ? found.token_logprobs.filter(isNumber) : []
}

function parse(document: string): Record<string, unknown> | undefined {
  try {
    return asRecord(JSON.parse(document))
  } catch {
    return undefined
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function nonEmptyString(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
