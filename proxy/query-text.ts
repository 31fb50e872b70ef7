/** Finds the user's question in a request body, whatever its shape; anything unexpected is no question, never an error. */
import { unescape as percentDecode } from 'node:querystring'
import { isString, JsonScan, type Span } from './query/json-scan.ts'
import { decodeEnds } from './query/long-text.ts'
import { questionOf, takePrompt, takeTurns } from './query/turns.ts'

export { MAX_QUERY_CHARS } from './query/long-text.ts'

export interface Query {
  /** The last user turn, text parts only, behind those before it when it is short; empty when there is nothing to embed. */
  text: string
  /** As the client named it, empty when it did not. */
  model: string
}

interface Shape {
  /** How the path ends; what stands before it is a gateway's affair. */
  path: string
  /** The members of the body that may hold the question; the first that is there does. */
  fields: readonly Field[]
}

const takers = {
  messages: takeTurns,
  input: takeTurns,
  prompt: takePrompt,
  inputs: takePrompt,
  text: takePrompt,
} satisfies Record<string, (scan: JsonScan, bytes: Buffer) => Span[]>
type Field = keyof typeof takers

/** The first that fits counts. */
const shapes: readonly Shape[] = [
  { path: '/chat/completions', fields: ['messages'] },
  { path: '/completions', fields: ['prompt'] },
  { path: '/responses', fields: ['input'] },
  // Not `/messages` alone, which in the Assistants API are those of a thread.
  { path: '/v1/messages', fields: ['messages'] },
  // Ollama
  { path: '/api/chat', fields: ['messages'] },
  { path: '/api/generate', fields: ['prompt'] },
  // Text Generation Inference, SGLang, and others of that name
  { path: '/generate', fields: ['inputs', 'text', 'prompt'] },
  { path: '/generate_stream', fields: ['inputs'] },
  // llama.cpp
  { path: '/completion', fields: ['prompt'] },
  // vLLM and TGI behind SageMaker
  { path: '/invocations', fields: ['messages', 'prompt', 'inputs', 'input'] },
]

/** TGI's old form, which Hugging Face's own client still sends; nothing else is asked for at the root. */
const ROOT: Shape = { path: '/', fields: ['inputs'] }

/** Azure names the model in the path. */
const DEPLOYMENT = /\/openai\/deployments\/([^/]+)\/(?:chat\/)?completions$/

/** True when a POST to this path may carry a question. `url` may have a prefix, a trailing slash and a query string. */
export function carriesQuery(url: string): boolean {
  return shapeOf(pathOf(url)) !== undefined
}

/** The question in a body, or undefined when the path carries none or the body is not a JSON object. */
export function readQuery(url: string, body: Buffer): Query | undefined {
  const path = pathOf(url)
  const shape = shapeOf(path)
  if (!shape) return undefined
  try {
    const query = scanBody(body, shape)
    const deployment = DEPLOYMENT.exec(path)?.[1]
    if (query && deployment !== undefined) query.model = percentDecode(deployment)
    return query
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function scanBody(body: Buffer, { fields }: Shape): Query | undefined {
  const scan = new JsonScan(body)
  if (!scan.enter('{')) return undefined
  let turns: Span[] = []
  let place = fields.length
  let model: Span | undefined
  // Of members with one name the last counts, as in every server.
  while (scan.nextMember()) {
    const at = indexOfKey(scan, fields)
    const field = at <= place ? fields[at] : undefined
    if (field !== undefined) {
      turns = takers[field](scan, body)
      place = at
    } else if (scan.keyIs('model')) model = scan.take()
    else scan.skip()
  }
  scan.finish()
  return {
    text: questionOf(body, turns),
    model: model && isString(body, model) ? decodeEnds(body, [model]) : '',
  }
}

function indexOfKey(scan: JsonScan, fields: readonly Field[]): number {
  let at = 0
  for (const field of fields) {
    if (scan.keyIs(field)) return at
    at++
  }
  return fields.length
}

function shapeOf(path: string): Shape | undefined {
  return path === '' ? ROOT : shapes.find(shape => path.endsWith(shape.path))
}

function pathOf(url: string): string {
  const question = url.indexOf('?')
  let end = question === -1 ? url.length : question
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}
