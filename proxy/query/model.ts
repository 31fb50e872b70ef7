/** Where a request of any kind says which model it is for: to find the server that has it, or to name another. */
import { isString, JsonScan, type Span } from './json-scan.ts'
import { decodeEnds } from './long-text.ts'

/** The body's `model`, or undefined when it names none or is not a JSON object. */
export function readModel(body: Buffer): string | undefined {
  const span = findModel(body)
  return span && decodeEnds(body, [span])
}

/** The same bytes but for those of the model's name; the very same when it names none. */
export function replaceModel(body: Buffer, name: string): Buffer {
  const span = findModel(body)
  if (!span) return body
  return Buffer.concat([body.subarray(0, span.start), Buffer.from(JSON.stringify(name)), body.subarray(span.end)])
}

/** Of several members of that name the last counts, as in every server. */
function findModel(body: Buffer): Span | undefined {
  const scan = new JsonScan(body)
  try {
    if (!scan.enter('{')) return undefined
    let model: Span | undefined
    while (scan.nextMember()) {
      if (scan.keyIs('model')) model = scan.take()
      else scan.skip()
    }
    return model && isString(body, model) ? model : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
