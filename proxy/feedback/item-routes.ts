/** One feedback by its id, to look at, to change and to take back: on both listeners, each with its own guard. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { HttpError } from '../errors.ts'
import { describedFeedback } from './described.ts'
import { type Feedback, mayTouch } from './feedback.ts'
import type { Reach } from './group.ts'
import { readFeedback } from './reading.ts'
import { readFilter, viewOf, writeCursor } from './view.ts'

const MAX_BODY_BYTES = 1024 * 1024
/** Half a million arrays in one another fit into a body, take the parser half a second, and no one has anything to say in them. */
const MAX_DEPTH = 100

/** Bodies of ours are JSON, whatever their type says; none at all is undefined. */
export function parseJsonBodies(app: FastifyInstance, bodyLimit = MAX_BODY_BYTES): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit }, async (_request: unknown, body: string | Buffer) => {
    const text = body.toString()
    if (isDeep(text)) {
      throw new HttpError('invalid_json', `the body has more than ${MAX_DEPTH} arrays and objects in one another`)
    }
    try {
      return text.length === 0 ? undefined : (JSON.parse(text) as unknown)
    } catch (cause) {
      throw new HttpError('invalid_json', 'the body is not JSON', { cause })
    }
  })
}

/** Whether there is more nesting than anybody needs; of JSON, exactly. */
function isDeep(text: string): boolean {
  let [depth, quoted] = [0, false]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) quoted = !quoted
    else if (quoted) at += code === BACKSLASH ? 1 : 0
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]

/**
 * @param permit throws when the caller may not; what it may see and change, or undefined when that is all
 */
export function feedbackItemRoutes(
  app: FastifyInstance,
  feedback: Feedback,
  permit: (request: FastifyRequest) => Reach | undefined,
): void {
  const url = '/qis/feedback/:id'
  const idOf = (request: FastifyRequest) => (request.params as { id: string }).id

  async function show(id: string, reach: Reach | undefined) {
    const found = await feedback.find(id)
    if (!found || !mayTouch(found, reach)) {
      throw new HttpError('unknown_id', `there is no feedback ${id}`, { field: 'id' })
    }
    return viewOf(found, feedback.expected(found.answer))
  }

  app.get(url, describedFeedback.show, async request => show(idOf(request), permit(request)))

  app.put(url, describedFeedback.change, async request => {
    const [reach, id] = [permit(request), idOf(request)]
    const { saying, source, sourcePath } = readFeedback(request.body, { needsTarget: false })
    if (source !== undefined) {
      throw new HttpError('invalid_field', 'who said it cannot be changed', { field: sourcePath })
    }
    const [result] = await feedback.take([{ kind: 'change', id, saying, reach }])
    if (result instanceof HttpError) throw result
    return show(id, reach)
  })

  app.delete(url, describedFeedback.withdraw, async request => {
    const reach = permit(request)
    const [result] = await feedback.take([{ kind: 'change', id: idOf(request), saying: undefined, reach }])
    if (result instanceof HttpError) throw result
    return result
  })
}

/** All feedback, in pages. */
export function feedbackListRoute(app: FastifyInstance, feedback: Feedback): void {
  app.get('/qis/feedback', describedFeedback.list, async request => {
    const { entries, next } = await feedback.list(readFilter(request.query as Record<string, unknown>))
    return {
      feedback: entries.map(entry => viewOf(entry, feedback.expected(entry.answer))),
      next_cursor: next ? writeCursor(next) : null,
    }
  })
}
