import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { CHAT_BODY, startUpstream } from '../support/upstream.ts'

interface Attribute {
  key: string
  value: { stringValue?: string; doubleValue?: number; intValue?: number }
}
interface LogsRequest {
  resourceLogs: {
    resource: { attributes: Attribute[] }
    scopeLogs: { logRecords: { eventName: string; attributes: Attribute[]; body?: unknown }[] }[]
  }[]
}

/** Receives what an OpenTelemetry collector would. */
async function startCollector(answer: RequestListener = (_request, response) => void response.end('{}')) {
  const received: { path: string | undefined; body: LogsRequest; text: string }[] = []
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as LogsRequest
    received.push({ path: request.url, body, text: JSON.stringify(body) })
    answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const events = () =>
    received
      .flatMap(({ body }) => body.resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(logs => logs.logRecords)))
      .map(({ eventName, attributes }) => ({ eventName, ...values(attributes) }))
  return {
    received,
    endpoint,
    events,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function values(attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.doubleValue ?? value.intValue]),
  )
}

suite('a collector of OpenTelemetry', () => {
  test('is told of every feedback, by the id of the response, and of no text', async () => {
    await using upstream = await startUpstream()
    await using collector = await startCollector()
    await using sidecar = await startTestSidecar(upstream.url, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint })
    const answer = await chat(sidecar.data, 'Is SECRETQUESTION known?')
    const completion = ((await answer.json()) as { id: string }).id
    const requestId = answer.headers.get('x-qis-request-id')
    const send = async (body: object) => {
      await until('the answer to be known', async () => {
        const sent = await postFeedback(sidecar.data, { completion_id: completion, ...body })
        return sent.status === 202
      })
    }
    await send({ rating: 'down', comment: 'SECRETCOMMENT', correction: { type: 'factual', text: 'SECRETCORRECTION' } })
    await send({ score: 0.75, source: 'app' })
    await send({ rating: null })
    await until('three events', () => collector.events().length === 3)

    const common = {
      eventName: 'gen_ai.evaluation.result',
      'gen_ai.response.id': completion,
      'qis.request.id': requestId,
    }
    const events = collector.events()
    assert.deepEqual(events, [
      {
        ...common,
        'gen_ai.evaluation.name': 'user_feedback',
        'gen_ai.evaluation.score.value': 0,
        'gen_ai.evaluation.score.label': 'down',
        'qis.feedback.status': 'accepted',
      },
      {
        ...common,
        'gen_ai.evaluation.name': 'app_feedback',
        'gen_ai.evaluation.score.value': 0.75,
        'gen_ai.evaluation.score.label': 'up',
        'qis.feedback.status': 'accepted',
      },
      {
        ...common,
        'gen_ai.evaluation.name': 'user_feedback',
        'gen_ai.evaluation.score.label': 'revoked',
        'qis.feedback.status': 'revoked',
      },
    ])
    for (const { path, text } of collector.received) {
      assert.equal(path, '/v1/logs')
      assert.doesNotMatch(text, /SECRET/)
      assert.match(text, /"service\.name".*"qis-sidecar"/)
    }
  })

  test('that is away, or never answers, delays and fails nothing', async () => {
    await using upstream = await startUpstream()
    await using silent = await startCollector(() => undefined)
    for (const endpoint of ['http://127.0.0.1:9', silent.endpoint]) {
      let begun: number
      {
        await using sidecar = await startTestSidecar(upstream.url, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
        for (let count = 0; count < 20; count++) {
          const answer = await chat(sidecar.data, `question ${count}`)
          assert.equal(await answer.text(), CHAT_BODY)
          const feedback = { receipt: answer.headers.get('x-qis-receipt'), rating: 'up' }
          assert.equal((await postFeedback(sidecar.data, feedback)).status, 202)
        }
        begun = performance.now()
      }
      // an export would be given ten
      assert.ok(performance.now() - begun < 9_000, 'and stopping waits no longer than two seconds for it')
    }
  })

  test('is not looked for unless its address is set', async () => {
    await using upstream = await startUpstream()
    await using collector = await startCollector()
    {
      // whose end would send what is still to be told
      await using sidecar = await startTestSidecar(upstream.url)
      const answer = await chat(sidecar.data, 'hello')
      await postFeedback(sidecar.data, { receipt: answer.headers.get('x-qis-receipt'), rating: 'up' })
    }
    assert.deepEqual(collector.received, [])
  })
})
