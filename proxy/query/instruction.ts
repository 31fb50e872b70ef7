/** Adds a system instruction to a request, and leaves every other byte as it was. */
import type { Operation } from '../observe/operation.ts'
import { isString, JsonScan, type Span, stringIs } from './json-scan.ts'

/**
 * Chat completions (and Ollama's chat): at the end of the first system or developer message, or as a message before all
 * others. Anthropic's messages: at the end of `system`, or as that.
 *
 * @returns undefined where there is no place for it
 */
export function addInstruction(operation: Operation, body: Buffer, text: string): Buffer | undefined {
  try {
    if (operation === 'chat') return addToMessages(body, text)
    return operation === 'messages' ? addToSystem(body, text) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function addToMessages(body: Buffer, text: string): Buffer | undefined {
  const messages = findMember(body, 'messages')
  const scan = messages && new JsonScan(body, messages.start)
  if (!messages || !scan?.enter('[')) return undefined
  let empty = true
  while (scan.nextElement()) {
    empty = false
    if (!scan.enter('{')) {
      scan.skip()
      continue
    }
    let role: Span | undefined
    let content: Span | undefined
    while (scan.nextMember()) {
      if (scan.keyIs('role')) role = scan.take()
      else if (scan.keyIs('content')) content = scan.take()
      else scan.skip()
    }
    if (!role || !(stringIs(body, role, 'system') || stringIs(body, role, 'developer'))) continue
    return content && append(body, content, text)
  }
  if (empty) return undefined
  return insert(body, messages.start + 1, `${JSON.stringify({ role: 'system', content: text })},`)
}

function addToSystem(body: Buffer, text: string): Buffer | undefined {
  if (!findMember(body, 'messages')) return undefined
  const system = findMember(body, 'system')
  if (system) return append(body, system, text)
  return insert(body, body.indexOf('{') + 1, `"system":${JSON.stringify(text)},`)
}

/** To a text, as a new paragraph, or to a list of parts, as another one. */
function append(body: Buffer, value: Span, text: string): Buffer | undefined {
  if (isString(body, value)) return insert(body, value.end - 1, JSON.stringify(`\n\n${text}`).slice(1, -1))
  const scan = new JsonScan(body, value.start)
  if (!scan.enter('[')) return undefined
  const comma = scan.nextElement() ? ',' : ''
  return insert(body, value.end - 1, comma + JSON.stringify({ type: 'text', text }))
}

function insert(body: Buffer, at: number, text: string): Buffer {
  return Buffer.concat([body.subarray(0, at), Buffer.from(text), body.subarray(at)])
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
