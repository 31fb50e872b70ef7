import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

/** W3C Trace Context, https://www.w3.org/TR/trace-context/ */
const TRACE = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
}

test('trace context passes in both directions as it came', async () => {
  await using upstream = await startUpstream({
    handler: ({ response }) => void response.writeHead(200, { ...TRACE, traceresponse: '00-1-2-01' }).end('{}'),
  })
  await using sidecar = await startTestSidecar(upstream.url)
  const answer = await chat(sidecar.data, 'hello', TRACE)
  const { headers } = await upstream.nextRequest()
  assert.deepEqual([headers.traceparent, headers.tracestate], [TRACE.traceparent, TRACE.tracestate])
  const back = ['traceparent', 'tracestate', 'traceresponse'].map(name => answer.headers.get(name))
  assert.deepEqual(back, [TRACE.traceparent, TRACE.tracestate, '00-1-2-01'])
})
