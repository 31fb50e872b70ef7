import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import Fastify from 'fastify'
import { createApiDescription } from '../../proxy/openapi.ts'
import { answering } from '../support/asking.ts'
import { startTestSidecar } from '../support/sidecar.ts'

interface Operation {
  summary?: string
  servers: { url: string }[]
  responses: Record<string, unknown>
  parameters?: { name: string; in: string; required: boolean }[]
  requestBody?: { content: Record<string, { schema: { required?: string[] } }> }
  security: object[]
}

suite('the description of our endpoints', () => {
  test('has every one of them, says where it is, and what it answers with', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const document = (await (await fetch(`${sidecar.admin}/qis/openapi.json`)).json()) as {
      openapi: string
      paths: Record<string, Record<string, Operation>>
    }
    assert.equal(document.openapi, '3.1.0')
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, ...operation })),
    )
    const names = operations.map(({ name }) => name)
    for (const name of [
      'post /qis/feedback',
      'post /v1/feedback',
      'get /qis/feedback',
      'put /qis/feedback/{id}',
      'get /metrics',
      'get /qis/ledger',
      'get /healthz',
      'get /qis/openapi.json',
    ]) {
      assert.ok(names.includes(name), name)
    }
    for (const { name, summary, servers, responses } of operations) {
      assert.ok([sidecar.admin, sidecar.data].includes(servers[0]?.url ?? ''), name)
      assert.ok((summary ?? '').length > 5, name)
      assert.ok('default' in responses && Object.keys(responses).length > 1, name)
    }
    assert.equal(document.paths['/qis/feedback']?.post?.servers[0]?.url, sidecar.data)
    assert.equal(document.paths['/qis/feedback']?.get?.servers[0]?.url, sidecar.admin)
    assert.deepEqual(document.paths['/healthz']?.get?.security, [])
    assert.ok(!names.some(name => name.includes('*')))
    const needs = (path: string) =>
      document.paths[path]?.post?.requestBody?.content['application/json']?.schema.required
    assert.deepEqual(needs('/qis/advise'), ['text'])
    assert.deepEqual(needs('/qis/rerank'), ['query', 'documents'])
    const [codes] = document.paths['/qis/topics']?.get?.parameters ?? []
    assert.deepEqual([codes?.name, codes?.required], ['codes', true])
  })

  test('has routes that say nothing of themselves as well, and tells which methods a path has', async () => {
    const api = createApiDescription()
    const app = Fastify()
    const methodsAt = api.watch(app, () => 'http://here')
    app.get('/bare/:id', async () => 'x')
    app.delete('/bare/:id', async () => 'x')
    await app.ready()
    const { paths } = api.document() as { paths: Record<string, Record<string, Operation>> }
    assert.deepEqual(Object.keys(paths['/bare/{id}'] ?? {}), ['get', 'delete'])
    assert.deepEqual(methodsAt('/bare/7?x=y'), ['DELETE', 'GET', 'HEAD'])
    assert.deepEqual(methodsAt('/bare'), [])
  })

  test('another method is refused with those that there are', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    for (const [url, allow] of [
      [`${sidecar.admin}/qis/ledger`, 'GET, HEAD'],
      [`${sidecar.data}/qis/feedback`, 'POST'],
      [`${sidecar.data}/qis/feedback/fb-1`, 'DELETE, GET, HEAD, PUT'],
    ] as const) {
      const answer = await fetch(url, { method: 'PATCH', body: '{}' })
      assert.equal(answer.status, 405)
      assert.equal(answer.headers.get('allow'), allow)
      assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'method_not_allowed')
    }
  })
})
