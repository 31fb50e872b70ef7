/** Finds out whether a request wants JSON for an answer; asked when the answer has begun, so that the request never waits for it. */
import { isString, JsonScan, type Span, stringIs } from '../query/json-scan.ts'

/** Longer requests are not looked at: it would take too long for what is learnt. */
const MAX_BYTES = 1024 * 1024
const JSON_TYPE = /"type"\s*:\s*"json_(?:object|schema)"/
/** Ollama's own API; elsewhere `format` may be anything. */
const OLLAMA = /\/api\/(?:chat|generate)\/?(?:\?|$)/

/** @param url of the request, with its path */
export function asksForJson(url: string, body: Buffer): boolean {
  // Every way of asking has the word in it, most requests do not.
  if (body.length > MAX_BYTES || (!body.includes('json') && !OLLAMA.test(url))) return false
  try {
    const scan = new JsonScan(body)
    if (!scan.enter('{')) return false
    let asks = false
    const text = ({ start, end }: Span) => body.toString('latin1', start, end)
    while (scan.nextMember()) {
      // OpenAI's chat, its Responses, vLLM before and since 0.11, Ollama
      if (scan.keyIs('response_format') || scan.keyIs('text')) asks ||= JSON_TYPE.test(text(scan.take()))
      else if (scan.keyIs('guided_json')) asks ||= text(scan.take()) !== 'null'
      else if (scan.keyIs('structured_outputs'))
        asks ||= /"json(?:_object)?"\s*:\s*(?!null|false)/.test(text(scan.take()))
      else if (OLLAMA.test(url) && scan.keyIs('format')) {
        const format = scan.take()
        asks ||= isString(body, format) ? stringIs(body, format, 'json') : text(format).startsWith('{')
      } else scan.skip()
    }
    return asks
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
