/** Finds the user's question in a request body, whatever its shape; anything unexpected is no question, never an error. */

export interface Query {
  /** The last user turn, text parts only; empty when there is nothing to embed. */
  text: string
  /** As the client named it, empty when it did not. */
  model: string
}

/** Longer questions are cut in the middle: what is asked stands at one end or the other. */
export const MAX_QUERY_CHARS = 8_000

type Extract = (body: Record<string, unknown>) => string

/** Paths that carry a user's text, and where in the body it is. */
const extractors: ReadonlyMap<string, Extract> = new Map([
  ['/v1/chat/completions', body => lastUserTurn(body.messages)],
  ['/v1/completions', body => firstPrompt(body.prompt)],
])

/** True when a POST to this path may carry a question. `url` may have a query string. */
export function carriesQuery(url: string): boolean {
  return extractors.has(pathOf(url))
}

/** The question in a body, or undefined when the path carries none or the body is not a JSON object. */
export function readQuery(url: string, body: Buffer): Query | undefined {
  const extract = extractors.get(pathOf(url))
  if (!extract) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isRecord(parsed)) return undefined
  return { text: cut(extract(parsed).trim()), model: typeof parsed.model === 'string' ? parsed.model : '' }
}

function pathOf(url: string): string {
  const question = url.indexOf('?')
  return question === -1 ? url : url.slice(0, question)
}

function lastUserTurn(messages: unknown): string {
  if (!Array.isArray(messages)) return ''
  const turn: unknown = messages.findLast(message => isRecord(message) && message.role === 'user')
  return isRecord(turn) ? textOf(turn.content) : ''
}

/** A message's content is a string, or parts of which some are text. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map(part => (isRecord(part) && part.type === 'text' && typeof part.text === 'string' ? part.text : ''))
    .filter(text => text !== '')
    .join('\n')
}

/** A prompt is a string, several strings, or token ids, which we cannot read. */
function firstPrompt(prompt: unknown): string {
  const first: unknown = Array.isArray(prompt) ? prompt[0] : prompt
  return typeof first === 'string' ? first : ''
}

function cut(text: string): string {
  if (text.length <= MAX_QUERY_CHARS) return text
  const half = MAX_QUERY_CHARS / 2
  return `${text.slice(0, half)}\n${text.slice(-half)}`.toWellFormed()
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
