/** Reads what a client sent the practice model, and says in OpenAI's words what is wrong with it. */

import type { GenerationRequest } from './replies.ts'
import { MAX_TOP_LOGPROBS } from './tokens.ts'

/** A request that cannot be answered; `status`, `param` and `code` are what OpenAI's error object carries. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly status: number
  readonly param: string | null
  readonly code: string | null

  constructor(status: number, message: string, details: { param?: string; code?: string; cause?: unknown } = {}) {
    super(message, { cause: details.cause })
    this.status = status
    this.param = details.param ?? null
    this.code = details.code ?? null
  }
}

export type Body = Record<string, unknown>

/** What both completion endpoints understand. */
export interface CompletionRequest extends GenerationRequest {
  stream: boolean
  includeUsage: boolean
}

export function parseBody(bytes: Buffer): Body {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new RequestError(400, 'The body of the request is not valid JSON.', { code: 'invalid_json', cause })
  }
  if (!isRecord(body)) throw new RequestError(400, 'The body of the request must be a JSON object.')
  return body
}

/** Answers the last user turn; a conversation without one, its last message. Only text parts are read. */
export function parseChat(body: Body): CompletionRequest {
  const { messages } = body
  if (messages === undefined) throw missing('messages')
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isRecord)) {
    throw new RequestError(400, "'messages' must be a list of at least one message object.", { param: 'messages' })
  }
  const texts = messages.map((message, index) => contentText(message.content, `messages[${index}].content`))
  const asked = messages.findLastIndex(message => message.role === 'user')
  const topLogprobs = integer(body, 'top_logprobs', 0, MAX_TOP_LOGPROBS)
  if (topLogprobs !== undefined && body.logprobs !== true) {
    throw new RequestError(400, "'top_logprobs' needs 'logprobs' to be true.", { param: 'top_logprobs' })
  }
  return {
    ...parseCommon(body),
    question: texts.at(asked) ?? '',
    prompt: texts,
    topLogprobs: body.logprobs === true ? (topLogprobs ?? 0) : undefined,
  }
}

const MAX_TEXT_LOGPROBS = 5

/** The older endpoint: one prompt, as text. */
export function parseCompletion(body: Body): CompletionRequest {
  if (body.prompt === undefined) throw missing('prompt')
  const prompt = Array.isArray(body.prompt) && body.prompt.length === 1 ? body.prompt[0] : body.prompt
  if (typeof prompt !== 'string') {
    throw new RequestError(400, "The practice model takes one 'prompt' at a time, and reads text, not token ids.", {
      param: 'prompt',
    })
  }
  return {
    ...parseCommon(body),
    question: prompt,
    prompt: [prompt],
    topLogprobs: integer(body, 'logprobs', 0, MAX_TEXT_LOGPROBS),
  }
}

const MAX_INPUTS = 2048

export function parseEmbeddings(body: Body, dimensions: number): { texts: string[]; base64: boolean } {
  if (body.input === undefined) throw missing('input')
  const texts: unknown[] = Array.isArray(body.input) ? body.input : [body.input]
  if (texts.length === 0 || texts.length > MAX_INPUTS || !texts.every(text => typeof text === 'string')) {
    throw new RequestError(400, `'input' must be a string or a list of 1 to ${MAX_INPUTS} strings.`, { param: 'input' })
  }
  const format = body.encoding_format ?? 'float'
  if (format !== 'float' && format !== 'base64') {
    throw new RequestError(400, "'encoding_format' must be 'float' or 'base64'.", { param: 'encoding_format' })
  }
  if ((body.dimensions ?? dimensions) !== dimensions) {
    throw new RequestError(400, `The practice model's embeddings have ${dimensions} dimensions.`, {
      param: 'dimensions',
    })
  }
  return { texts, base64: format === 'base64' }
}

function parseCommon(body: Body) {
  if ((body.n ?? 1) !== 1)
    throw new RequestError(400, 'The practice model gives one choice: n must be 1.', { param: 'n' })
  const options = body.stream_options ?? undefined
  if (options !== undefined && body.stream !== true) {
    throw new RequestError(400, "'stream_options' is only allowed when 'stream' is true.", { param: 'stream_options' })
  }
  return {
    stream: body.stream === true,
    includeUsage: isRecord(options) && options.include_usage === true,
    stop: stopList(body.stop),
    maxTokens:
      integer(body, 'max_completion_tokens', 1, Number.MAX_SAFE_INTEGER) ??
      integer(body, 'max_tokens', 1, Number.MAX_SAFE_INTEGER) ??
      Number.POSITIVE_INFINITY,
  }
}

const MAX_STOPS = 4

function stopList(value: unknown): string[] {
  const stops: unknown[] = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]
  if (stops.length > MAX_STOPS || !stops.every(stop => typeof stop === 'string' && stop !== '')) {
    throw new RequestError(400, `'stop' must be a string or a list of at most ${MAX_STOPS} strings.`, { param: 'stop' })
  }
  return stops as string[]
}

function contentText(content: unknown, param: string): string {
  if (typeof content === 'string') return content
  if (content === null || content === undefined) return ''
  if (!Array.isArray(content)) {
    throw new RequestError(400, `'${param}' must be a string or a list of content parts.`, { param })
  }
  return content
    .map(part => (isRecord(part) && part.type === 'text' && typeof part.text === 'string' ? part.text : ''))
    .filter(text => text !== '')
    .join('\n')
}

function integer(body: Body, param: string, min: number, max: number): number | undefined {
  const value = body[param] ?? undefined
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new RequestError(400, `'${param}' must be an integer from ${min} to ${max}.`, { param })
}

function missing(param: string): RequestError {
  return new RequestError(400, `Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
