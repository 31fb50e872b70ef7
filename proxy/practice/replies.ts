/** The shapes of the OpenAI API that the practice model answers in: one generation, told whole or in chunks. */
import { createHash } from 'node:crypto'
import { answer } from './skills.ts'
import { countTokens, type TokenLogprobs, tokenize, tokenLogprobs } from './tokens.ts'

export const MODEL = {
  id: 'qis-practice',
  object: 'model',
  /** Unix seconds; the model has no date of its own, and clients expect one. */
  created: 1_735_689_600,
  owned_by: 'qis-sidecar',
} as const

export interface GenerationRequest {
  /** What is answered. */
  question: string
  /** All that was sent, for the usage count. */
  prompt: readonly string[]
  stop: readonly string[]
  maxTokens: number
  /** How many alternatives beside each token's logprob; undefined when no logprobs are wanted. */
  topLogprobs: number | undefined
}

export interface Generation {
  id: string
  /** Unix seconds. */
  created: number
  tokens: string[]
  finishReason: 'stop' | 'length'
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
  /** Logprobs of tokens `from` to `to`, or null when none were asked for. */
  logprobs(from: number, to: number): TokenLogprobs[] | null
}

/** @param serial makes ids of equal requests differ, as they must */
export function generate(kind: 'chatcmpl' | 'cmpl', request: GenerationRequest, serial: number): Generation {
  const { text, confidence } = answer(request.question)
  const stops = request.stop.map(stop => text.indexOf(stop)).filter(at => at !== -1)
  const all = tokenize(stops.length === 0 ? text : text.slice(0, Math.min(...stops)))
  const tokens = all.slice(0, request.maxTokens)
  const promptTokens = request.prompt.reduce((sum, part) => sum + countTokens(part), 0)
  const hash = createHash('sha256').update(JSON.stringify(request)).digest('hex').slice(0, 16)
  return {
    id: `${kind}-practice-${hash}-${serial}`,
    created: Math.floor(Date.now() / 1000),
    tokens,
    finishReason: tokens.length < all.length ? 'length' : 'stop',
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: tokens.length,
      total_tokens: promptTokens + tokens.length,
    },
    logprobs: (from, to) =>
      request.topLogprobs === undefined
        ? null
        : tokens
            .slice(from, to)
            .map((token, index) => tokenLogprobs(token, from + index, confidence, request.topLogprobs ?? 0)),
  }
}

/** How one endpoint tells a generation. */
export interface Dialect {
  whole(generation: Generation): object
  /** The chunks before the usage chunk, made one at a time so that a reader who leaves stops the work. */
  chunks(generation: Generation): Iterable<object>
  /** The chunk that carries usage and nothing else. */
  usage(generation: Generation): object
}

export const chatDialect: Dialect = {
  whole(generation) {
    const content = generation.tokens.join('')
    return envelope('chat.completion', generation, {
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content, refusal: null },
          logprobs: chatLogprobs(generation, 0, generation.tokens.length),
          finish_reason: generation.finishReason,
        },
      ],
      usage: generation.usage,
    })
  },
  *chunks(generation) {
    const chunk = (delta: object, logprobs: object | null, finish: string | null) =>
      envelope('chat.completion.chunk', generation, {
        choices: [{ index: 0, delta, logprobs, finish_reason: finish }],
      })
    yield chunk({ role: 'assistant', content: '', refusal: null }, null, null)
    for (const [index, token] of generation.tokens.entries()) {
      yield chunk({ content: token }, chatLogprobs(generation, index, index + 1), null)
    }
    yield chunk({}, null, generation.finishReason)
  },
  usage: generation => envelope('chat.completion.chunk', generation, { choices: [], usage: generation.usage }),
}

export const textDialect: Dialect = {
  whole(generation) {
    const text = generation.tokens.join('')
    const logprobs = textLogprobs(generation.logprobs(0, generation.tokens.length), 0)
    return envelope('text_completion', generation, {
      choices: [{ text, index: 0, logprobs, finish_reason: generation.finishReason }],
      usage: generation.usage,
    })
  },
  *chunks(generation) {
    const chunk = (text: string, logprobs: object | null, finish: string | null) =>
      envelope('text_completion', generation, { choices: [{ text, index: 0, logprobs, finish_reason: finish }] })
    let offset = 0
    for (const [index, token] of generation.tokens.entries()) {
      yield chunk(token, textLogprobs(generation.logprobs(index, index + 1), offset), null)
      offset += token.length
    }
    yield chunk('', null, generation.finishReason)
  },
  usage: generation => envelope('text_completion', generation, { choices: [], usage: generation.usage }),
}

function envelope(object: string, { id, created }: Generation, rest: object): object {
  return { id, object, created, model: MODEL.id, system_fingerprint: 'fp_practice', ...rest }
}

function chatLogprobs(generation: Generation, from: number, to: number): object | null {
  const content = generation.logprobs(from, to)
  return content && { content, refusal: null }
}

/** The older shape: columns instead of rows. `offset` is where in the text the first of them stands. */
function textLogprobs(rows: TokenLogprobs[] | null, offset: number): object | null {
  if (rows === null) return null
  let at = offset
  const offsets = rows.map(({ token }) => {
    at += token.length
    return at - token.length
  })
  return {
    tokens: rows.map(row => row.token),
    token_logprobs: rows.map(row => row.logprob),
    top_logprobs: rows.map(row => Object.fromEntries(row.top_logprobs.map(({ token, logprob }) => [token, logprob]))),
    text_offset: offsets,
  }
}
