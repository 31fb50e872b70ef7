/** Asks for logprobs in a chat request that does not, and leaves every other byte as it was. */
import { JsonScan, type Span } from '../query/json-scan.ts'
import { decodeEnds } from '../query/long-text.ts'

export interface PlainRequest {
  /** As the request names it; empty when it names none. */
  model: string
  streamed: boolean
  /** The same request, asking. */
  asking: Buffer
}

/** Undefined for what is no chat request, or says something of logprobs itself. */
export function readPlainRequest(body: Buffer): PlainRequest | undefined {
  try {
    return read(body)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function read(body: Buffer): PlainRequest | undefined {
  const scan = new JsonScan(body)
  if (!scan.enter('{')) return undefined
  let model: Span | undefined
  let streamed = false
  let messages = false
  while (scan.nextMember()) {
    if (scan.keyIs('logprobs') || scan.keyIs('top_logprobs')) return undefined
    if (scan.keyIs('model')) model = scan.take()
    else if (scan.keyIs('stream')) streamed = is(body, scan.take(), 'true')
    else {
      messages ||= scan.keyIs('messages')
      scan.skip()
    }
  }
  scan.finish()
  // Without messages it may be empty, and would want no comma.
  if (!messages) return undefined
  const at = body.indexOf('{') + 1
  const asking = Buffer.concat([body.subarray(0, at), Buffer.from('"logprobs":true,'), body.subarray(at)])
  return { model: model ? decodeEnds(body, [model]) : '', streamed, asking }
}

function is(body: Buffer, { start, end }: Span, word: string): boolean {
  return body.toString('latin1', start, end) === word
}
