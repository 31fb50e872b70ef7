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
  /** The member of the body that holds the question. */
  field: string
  take(scan: JsonScan, bytes: Buffer): Span[]
}

/** The first that fits counts. */
const shapes: readonly Shape[] = [
  { path: '/chat/completions', field: 'messages', take: takeTurns },
  { path: '/completions', field: 'prompt', take: takePrompt },
  { path: '/responses', field: 'input', take: takeTurns },
  // Not `/messages` alone, which in the Assistants API are those of a thread.
  { path: '/v1/messages', field: 'messages', take: takeTurns },
  // Ollama
  { path: '/api/chat', field: 'messages', take: takeTurns },
  { path: '/api/generate', field: 'prompt', take: takePrompt },
  // Text Generation Inference
  { path: '/generate', field: 'inputs', take: takePrompt },
  { path: '/generate_stream', field: 'inputs', take: takePrompt },
]

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

function scanBody(body: Buffer, { field, take }: Shape): Query | undefined {
  const scan = new JsonScan(body)
  if (!scan.enter('{')) return undefined
  let turns: Span[] = []
  let model: Span | undefined
  // Of members with one name the last counts, as in every server.
  while (scan.nextMember()) {
    if (scan.keyIs(field)) turns = take(scan, body)
    else if (scan.keyIs('model')) model = scan.take()
    else scan.skip()
  }
  scan.finish()
  return {
    text: questionOf(body, turns),
    model: model && isString(body, model) ? decodeEnds(body, [model]) : '',
  }
}

function shapeOf(path: string): Shape | undefined {
  return shapes.find(shape => path.endsWith(shape.path))
}

function pathOf(url: string): string {
  const question = url.indexOf('?')
  let end = question === -1 ? url.length : question
  while (url[end - 1] === '/') end--
  return url.slice(0, end)
}
