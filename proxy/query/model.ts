/** Reads which model a request of any kind is for, to find the server that has it. */
import { isString, JsonScan, type Span } from './json-scan.ts'
import { decodeEnds } from './long-text.ts'

/** The body's `model`, or undefined when it names none or is not a JSON object. */
export function readModel(body: Buffer): string | undefined {
  const scan = new JsonScan(body)
  try {
    if (!scan.enter('{')) return undefined
    let model: Span | undefined
    while (scan.nextMember()) {
      if (scan.keyIs('model')) model = scan.take()
      else scan.skip()
    }
    return model && isString(body, model) ? decodeEnds(body, [model]) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
