/** What `proxy/query-text.ts` must find, found the simple way: by parsing the whole body. */
import { standsAlone } from '../../proxy/query/complete.ts'
import { MAX_QUERY_CHARS, type Query } from '../../proxy/query-text.ts'

/** `fields` are the members that may hold the question on the path in question, in this order. */
export function parsedQuery(fields: readonly string[], bytes: Buffer): Query | undefined {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
  if (!isRecord(body)) return undefined
  const record = body
  const field = fields.find(name => Object.hasOwn(record, name)) ?? ''
  const said = field === 'messages' || field === 'input' ? turns(body[field]) : [prompt(body[field])]
  return {
    text: question(said, false) || question(said, true),
    model: typeof body.model === 'string' ? body.model : '',
  }
}

function turns(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [value]
  return value.filter(isRecord).flatMap(({ role, content }) => (role === 'user' ? [content] : []))
}

function prompt(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value
}

function question(said: readonly unknown[], results: boolean): string {
  let text = ''
  for (const turn of said.toReversed()) {
    if (!short(text)) break
    text = [texts(turn, results).join('\n').trim(), text].filter(part => part !== '').join('\n')
  }
  return cut(text)
}

function short(text: string): boolean {
  if (text.length >= 160) return false
  const words = Array.from(new Intl.Segmenter('en', { granularity: 'word' }).segment(text.toWellFormed()))
  const few = Buffer.byteLength(text) < 24 || words.filter(({ isWordLike }) => isWordLike).length < 4
  return few && !standsAlone(text)
}

function texts(content: unknown, results: boolean): string[] {
  if (typeof content === 'string') return content === '' ? [] : [content]
  if (!Array.isArray(content)) return []
  return content.flatMap(part => {
    if (typeof part === 'string') return texts(part, false)
    if (!isRecord(part)) return []
    if (part.type === 'tool_result') return results ? texts(part.content, false) : []
    return (part.type === 'text' || part.type === 'input_text') && typeof part.text === 'string'
      ? texts(part.text, false)
      : []
  })
}

function cut(text: string): string {
  const half = MAX_QUERY_CHARS / 2
  return (text.length <= MAX_QUERY_CHARS ? text : `${text.slice(0, half)}\n${text.slice(-half)}`).toWellFormed()
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
