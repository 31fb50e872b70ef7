/** Adds a system instruction to a request, and leaves every other byte as it was. */
import type { Operation } from '../observe/operation.ts'
import { isString, JsonScan, type Span, stringIs } from './json-scan.ts'
import { turnsOf } from './turns.ts'

/** Bytes that are to stand before the one at `at`. */
export interface Insertion {
  at: number
  bytes: Buffer
}

/**
 * Chat completions (and Ollama's chat): at the end of the first system or developer message, or as a message before all
 * others. Anthropic's messages: at the end of `system`, or as that.
 *
 * @returns undefined where there is no place for it
 */
export function placeInstruction(operation: Operation, body: Buffer, text: string): Insertion | undefined {
  try {
    if (operation === 'chat') return inMessages(body, text)
    return operation === 'messages' ? inSystem(body, text) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The very same bytes where there is no place for it. */
export function addInstruction(operation: Operation, body: Buffer, text: string): Buffer {
  const insertion = placeInstruction(operation, body, text)
  if (!insertion) return body
  return Buffer.concat([body.subarray(0, insertion.at), insertion.bytes, body.subarray(insertion.at)])
}

function inMessages(body: Buffer, text: string): Insertion | undefined {
  const messages = findMember(body, 'messages')
  const scan = messages && new JsonScan(body, messages.start)
  if (!messages || !scan?.enter('[')) return undefined
  let empty = true
  for (const { role, content } of turnsOf(scan)) {
    empty = false
    if (!role || !(stringIs(body, role, 'system') || stringIs(body, role, 'developer'))) continue
    return content && atEndOf(body, content, text)
  }
  if (empty) return undefined
  return insertion(messages.start + 1, `${JSON.stringify({ role: 'system', content: text })},`)
}

function inSystem(body: Buffer, text: string): Insertion | undefined {
  if (!findMember(body, 'messages')) return undefined
  const system = findMember(body, 'system')
  if (system) return atEndOf(body, system, text)
  return insertion(body.indexOf('{') + 1, `"system":${JSON.stringify(text)},`)
}

/** Of a text, as a new paragraph, or of a list of parts, as another one. */
function atEndOf(body: Buffer, value: Span, text: string): Insertion | undefined {
  if (isString(body, value)) return insertion(value.end - 1, JSON.stringify(`\n\n${text}`).slice(1, -1))
  const scan = new JsonScan(body, value.start)
  if (!scan.enter('[')) return undefined
  const comma = scan.nextElement() ? ',' : ''
  return insertion(value.end - 1, comma + JSON.stringify({ type: 'text', text }))
}

function insertion(at: number, text: string): Insertion {
  return { at, bytes: Buffer.from(text) }
}

function findMember(body: Buffer, name: string): Span | undefined {
  const scan = new JsonScan(body)
  if (!scan.enter('{')) return undefined
  let found: Span | undefined
  while (scan.nextMember()) {
    if (scan.keyIs(name)) found = scan.take()
    else scan.skip()
  }
  return found
}
