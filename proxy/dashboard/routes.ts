/** The dashboard at `/qis/` of the admin listener: the page's files, and what it shows and no other endpoint tells. */
import type { FastifyInstance } from 'fastify'
import { CODE_PATTERN } from '../../router/outcome.ts'
import type { Router } from '../../router/router.ts'
import type { Access } from '../access/access.ts'
import type { AnswerIndex } from '../answer-index.ts'
import type { Callers } from '../callers.ts'
import { HttpError } from '../errors.ts'
import { describedFeedback } from '../feedback/described.ts'
import type { Feedback } from '../feedback/feedback.ts'
import { takeFeedback } from '../feedback/routes.ts'
import { viewOf } from '../feedback/view.ts'
import { described } from '../openapi.ts'
import type { AdviceEndpoint } from '../uses/advise.ts'
import { serve } from '../uses/routes.ts'
import { readPageFiles } from './files.ts'
import { columns, type History } from './history.ts'
import type { Topics } from './topics.ts'

export interface DashboardComponents {
  router: Pick<Router, 'knowledge'>
  history: Pick<History, 'read'>
  topics: Topics
  answers: Pick<AnswerIndex, 'recent'>
  feedback: Feedback
  callers: Callers
  advice: AdviceEndpoint
}

const RECENT_ANSWERS = 20
const MAX_CODES = 100
const CODE = new RegExp(CODE_PATTERN)
const OBJECT = { type: 'object' }

/** The page is for everyone: it holds nothing, and asks for the token that all it shows needs. */
export function pageRoutes(app: FastifyInstance, { admits }: Pick<Access, 'admits'>): void {
  // So that the page can ask for a token without having been refused, which browsers complain of.
  app.get('/qis/entrance', { config: { for: 'visitors' } }, async ({ headers }) => ({
    admitted: admits(headers.authorization),
  }))
  for (const { path, type, bytes, etag } of readPageFiles()) {
    app.get(`/qis/${path}`, { config: { for: 'visitors' } }, async ({ headers }, reply) => {
      // Asked for each time, since another version may run; sent only then.
      reply.headers({ 'cache-control': 'no-cache', etag })
      if (headers['if-none-match'] === etag) return reply.code(304).send()
      return reply.type(type).send(bytes)
    })
  }
  // From the bare address too. Paths are relative: a gateway may put something before them.
  for (const path of ['/', '/qis']) {
    app.get(path, { config: { for: 'visitors' } }, async (_request, reply) => reply.redirect('qis/', 308))
  }
}

/** Behind the admin token; bodies are parsed as JSON. */
export function dashboardRoutes(app: FastifyInstance, components: DashboardComponents): void {
  const { router, history, topics, answers, feedback, callers, advice } = components

  const overview = described({
    summary: 'What this node has done of late, in points of ten seconds',
    querystring: { type: 'object', properties: { since: { type: 'integer', minimum: 0 } } },
    response: { 200: OBJECT },
  })
  app.get<{ Querystring: { since?: string } }>('/qis/overview', overview, async ({ query }) => {
    const since = Number(query.since ?? 0)
    if (!Number.isSafeInteger(since) || since < 0) {
      throw new HttpError('invalid_field', 'since must be Unix seconds', { field: 'since' })
    }
    return { columns, ...(await history.read(since)) }
  })

  const knowledge = described({
    summary: 'What is known of models, domains and kinds of question',
    response: { 200: OBJECT },
  })
  app.get('/qis/knowledge', knowledge, async () => router.knowledge())

  const named = described({
    summary: 'What questions with these fingerprints are like, in words',
    querystring: {
      type: 'object',
      required: ['codes'],
      properties: { codes: { type: 'string', description: 'by comma', pattern: '^[0-9a-f]{2,16}(,[0-9a-f]{2,16})*$' } },
    },
    response: { 200: OBJECT },
  })
  app.get<{ Querystring: { codes?: string } }>('/qis/topics', named, async ({ query }) => {
    const codes = String(query.codes ?? '').split(',')
    if (codes.length > MAX_CODES || !codes.every(code => CODE.test(code))) {
      throw new HttpError('invalid_field', `codes must be 1 to ${MAX_CODES} fingerprints by comma`, { field: 'codes' })
    }
    return { names: await topics.of(codes) }
  })

  const recent = described({
    summary: 'The last answers, without a word of them, and what was said of each',
    response: { 200: { type: 'object', required: ['answers'], properties: { answers: { type: 'array' } } } },
  })
  app.get('/qis/answers', recent, async () => {
    const records = await answers.recent(RECENT_ANSWERS)
    const said = Map.groupBy(await feedback.of(records.map(({ requestId }) => requestId)), ({ requestId }) => requestId)
    return {
      answers: records.map(record => ({
        request_id: record.requestId,
        model: record.model,
        domain: record.domain,
        code: record.code,
        time: record.time,
        expected: feedback.expected(record) ?? null,
        facts: record.facts ?? [],
        feedback: (said.get(record.requestId) ?? []).map(given => {
          const { feedback_id, source, verdict, state } = viewOf(given)
          return { feedback_id, source, verdict, state }
        }),
      })),
    }
  })

  // The same as on the data listener, so that the page need not reach it. Who came so far may speak for people and programs.
  app.post('/qis/feedback', describedFeedback.give, takeFeedback({ feedback, callers, voices: () => ['user', 'app'] }))
  const advise = described({ summary: 'What is known of a text', body: OBJECT, response: { 200: OBJECT } })
  app.post('/qis/advise', advise, serve(advice))
}
