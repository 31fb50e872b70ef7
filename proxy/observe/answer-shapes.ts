/** Reads one JSON document, a whole answer or an event of one, in the shapes of the APIs that model servers speak. */
import { asRecord, type JsonRecord } from './json-record.ts'
import type { Tally } from './observation.ts'

type ReadShape = (answer: JsonRecord, tally: Tally) => void

/**
 * Takes what it knows from `document` and passes over the rest. The shapes do not overlap, so none needs to be told
 * which it is.
 */
export function readAnswer(document: unknown, tally: Tally): void {
  const answer = asRecord(document)
  if (!answer) return
  const { type } = answer
  // The Responses API wraps the answer in its first and last events, Anthropic in its first.
  const whole = asRecord(answer.response) ?? (type === 'message_start' ? asRecord(answer.message) : undefined) ?? answer
  tally.identify(whole.id, whole.model)
  readUsage(asRecord(whole.usage), tally)
  if (whole.error || type === 'error' || answer.object === 'error') tally.failed = true

  if (Array.isArray(answer.choices)) readChoice(answer.choices, tally)
  else if (whole.object === 'response' || asRecord(answer.response)) readResponse(whole, tally)
  else if (typeof answer.done === 'boolean') readOllama(answer, tally)
  else if ('generated_text' in answer || 'token' in answer) readTgi(answer, tally)
  else if (typeof type === 'string') (type.startsWith('response.') ? readResponsesEvent : readAnthropic)(whole, tally)
  // Embeddings have no text; what they have is their answer.
  else tally.said(answer.data ?? answer.embeddings ?? answer.embedding)
}

/** OpenAI and vLLM count `prompt_tokens`; Responses and Anthropic `input_tokens`, the latter without what was cached. */
function readUsage(usage: JsonRecord | undefined, tally: Tally): void {
  if (!usage) return
  const { input_tokens: input, cache_creation_input_tokens: written, cache_read_input_tokens: read } = usage
  const cached = (Number(written) || 0) + (Number(read) || 0)
  tally.count(
    usage.prompt_tokens ?? (typeof input === 'number' ? input + cached : undefined),
    usage.completion_tokens ?? usage.output_tokens,
  )
}

/** OpenAI chat (`message`, or `delta` in a stream) and text completions; the first of several choices. */
function readChoice(choices: readonly unknown[], tally: Tally): void {
  const choice = choices.map(asRecord).find(one => one && (one.index ?? 0) === 0)
  if (!choice) return
  tally.said(choice.text)
  const message = asRecord(choice.delta) ?? asRecord(choice.message)
  if (message) {
    tally.thought(message.reasoning_content ?? message.reasoning)
    tally.said(message.content)
    if (asRecord(message.audio)) tally.said('audio')
    // Presence alone: some servers number all calls 0 and name none, and it is not for us to put that right.
    tally.called(message.tool_calls)
    tally.called(message.function_call)
    if (typeof message.refusal === 'string' && message.refusal !== '') tally.refused = true
  }
  tally.finished(choice.finish_reason)
  const logprobs = asRecord(choice.logprobs)
  readLogprobs(logprobs?.content, tally)
  if (Array.isArray(logprobs?.token_logprobs)) for (const logprob of logprobs.token_logprobs) tally.sure(logprob)
}

/** A whole answer of the Responses API; in a stream its logprobs are told three times over, and count here only. */
function readResponse(response: JsonRecord, tally: Tally): void {
  const { status } = response
  tally.startOver()
  for (const item of records(response.output)) {
    if (isCall(item.type)) tally.called(item)
    for (const part of records(item.content)) readPart(part, tally)
  }
  if (status === 'queued' || status === 'in_progress') return
  tally.finished(asRecord(response.incomplete_details)?.reason ?? status)
}

function readPart(part: JsonRecord, tally: Tally): void {
  if (part.type === 'refusal') tally.refused = true
  else if (part.type === 'output_text') {
    tally.said(part.text)
    readLogprobs(part.logprobs, tally)
  }
}

const readResponsesEvent: ReadShape = ({ type, delta, item }, tally) => {
  if (type === 'response.output_text.delta') tally.said(delta)
  else if (type === 'response.refusal.delta') tally.refused = true
  else if (String(type).startsWith('response.reasoning')) tally.thought(delta)
  const added = asRecord(item)
  if (added && isCall(added.type)) tally.called(added)
}

/** `function_call`, `custom_tool_call`, `mcp_call`, `web_search_call` … */
const isCall = (type: unknown) => typeof type === 'string' && type.endsWith('_call')

/** A whole message or any event of one, the wrapping of its first event taken off. */
const readAnthropic: ReadShape = (message, tally) => {
  const delta = asRecord(message.delta)
  for (const part of [...records(message.content), asRecord(message.content_block), delta]) {
    if (part?.type === 'tool_use') tally.called(part)
    tally.said(part?.text)
    tally.thought(part?.thinking)
  }
  tally.finished(message.stop_reason ?? delta?.stop_reason)
  if (message.type === 'message_stop') tally.over = true
}

/** `/api/chat` and `/api/generate`, whole or one line of a stream. */
const readOllama: ReadShape = (answer, tally) => {
  const message = asRecord(answer.message)
  tally.thought(message?.thinking ?? answer.thinking)
  tally.said(message?.content ?? answer.response)
  tally.called(message?.tool_calls)
  tally.count(answer.prompt_eval_count, answer.eval_count)
  tally.finished(answer.done_reason)
  if (answer.done === true) tally.over = true
  readLogprobs(answer.logprobs, tally)
}

/** `/generate`, or one event of `/generate_stream`. */
const readTgi: ReadShape = (answer, tally) => {
  const details = asRecord(answer.details)
  const token = asRecord(answer.token)
  tally.said(token?.text)
  if (typeof answer.generated_text === 'string') tally.startOver()
  tally.said(answer.generated_text)
  readLogprobs([token, ...records(details?.tokens)], tally)
  const prefill = Array.isArray(details?.prefill) && details.prefill.length > 0 ? details.prefill.length : undefined
  tally.count(details?.input_length ?? prefill, details?.generated_tokens)
  tally.finished(details?.finish_reason)
  if (typeof answer.generated_text === 'string') tally.over = true
}

/** Marks of the server's own, such as the end of the sequence, are no part of what it was sure of. */
function readLogprobs(tokens: unknown, tally: Tally): void {
  for (const token of records(tokens)) if (token.special !== true) tally.sure(token.logprob)
}

function records(value: unknown): JsonRecord[] {
  return Array.isArray(value) ? value.map(asRecord).filter(one => one !== undefined) : []
}
