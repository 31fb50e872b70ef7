/** `GET /v1/models` where one server's own answer is not all there is to tell: several servers, or `qis/auto` beside theirs. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Dispatcher, request } from 'undici'
import { headersToUpstream } from './forward-headers.ts'
import { upstreamFailure } from './upstream/failure.ts'
import { readBounded, type Upstreams } from './upstream/upstreams.ts'

export interface ModelListComponents {
  upstreams: Upstreams
  /** How to reach them. */
  dispatcher: Dispatcher
}

const DEADLINE_MS = 10_000

/** @param ours names of our own that are to be listed; with one server and none of these the answer is that server's */
export function modelListRoute({ upstreams, dispatcher }: ModelListComponents, ours: readonly string[]) {
  const entry = (id: string, owner: string) => ({ id, object: 'model', created: 0, owned_by: owner })
  const own = ours.map(id => entry(id, 'qis-sidecar'))

  async function beside({ raw }: FastifyRequest, reply: FastifyReply) {
    const url = (upstreams.choose(undefined)[0] ?? '') + raw.url
    // Only what came uncompressed can be added to.
    const headers = headersToUpstream(raw.rawHeaders, raw.headers.connection)
    const list = headers.filter((_, at) => !/^accept-encoding$/i.test(headers[at - (at % 2)] as string))
    const signal = AbortSignal.timeout(DEADLINE_MS)
    try {
      const { statusCode, headers, body } = await request(url, { dispatcher, headers: list, signal })
      const text = await readBounded(body)
      reply.code(statusCode).type(String(headers['content-type'] ?? 'application/json'))
      return withOwn(text) ?? text
    } catch (error) {
      throw upstreamFailure(error as Error)
    }
  }

  function withOwn(text: string): string | undefined {
    try {
      const list = JSON.parse(text) as { data?: unknown }
      return Array.isArray(list.data) ? JSON.stringify({ ...list, data: [...list.data, ...own] }) : undefined
    } catch {
      return undefined
    }
  }

  return async (app: FastifyInstance): Promise<void> => {
    app.get('/v1/models', async (incoming, reply) => {
      if (!upstreams.several) return beside(incoming, reply)
      const owners = new Map<string, string>()
      for (const { origin, models } of upstreams.status()) {
        for (const id of models) if (!owners.has(id)) owners.set(id, new URL(origin).host)
      }
      return { object: 'list', data: [...[...owners].map(([id, owner]) => entry(id, owner)), ...own] }
    })
  }
}
