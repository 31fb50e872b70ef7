/** With several upstreams, `GET /v1/models` tells what all of them serve; with one it is that one's own answer. */
import type { FastifyInstance } from 'fastify'
import type { Upstreams } from './upstream/upstreams.ts'

export function modelListRoute(upstreams: Upstreams) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/v1/models', async () => {
      const owners = new Map<string, string>()
      for (const { origin, models } of upstreams.status()) {
        for (const id of models) if (!owners.has(id)) owners.set(id, new URL(origin).host)
      }
      const data = [...owners].map(([id, owner]) => ({ id, object: 'model', created: 0, owned_by: owner }))
      return { object: 'list', data }
    })
  }
}
