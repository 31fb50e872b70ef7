/** Tells a conversation by how it began, so that its later requests can be known to belong to it. */
import { JsonScan, stringIs } from './json-scan.ts'
import { turnsOf } from './turns.ts'

export interface Conversation {
  /** The first user turn, as its bytes were written; undefined where there is none. */
  opening: Buffer | undefined
  /** Whether a model has already answered in it. */
  continued: boolean
  /** Whether the body says `"route_only": true`. */
  routeOnly: boolean
}

/** @throws SyntaxError when the body is no JSON object */
export function readConversation(body: Buffer): Conversation {
  const scan = new JsonScan(body)
  const found: Conversation = { opening: undefined, continued: false, routeOnly: false }
  if (!scan.enter('{')) return found
  while (scan.nextMember()) {
    if (scan.keyIs('messages') || scan.keyIs('input')) readTurns(scan, body, found)
    else if (scan.keyIs('route_only')) {
      const { start, end } = scan.take()
      found.routeOnly = body.toString('latin1', start, end) === 'true'
    } else scan.skip()
  }
  return found
}

function readTurns(scan: JsonScan, body: Buffer, found: Conversation): void {
  if (!scan.enter('[')) {
    scan.skip()
    return
  }
  for (const { role, content } of turnsOf(scan)) {
    if (!role) continue
    if (stringIs(body, role, 'assistant')) found.continued = true
    if (content && stringIs(body, role, 'user')) found.opening ??= body.subarray(content.start, content.end)
  }
}
