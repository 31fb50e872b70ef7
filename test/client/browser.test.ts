import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { noChromium, startChromium } from '../support/chromium.ts'
import { startTestSidecar } from '../support/sidecar.ts'

const CLIENT = stripTypeScriptTypes(readFileSync(join(import.meta.dirname, '../../client/index.ts'), 'utf8'))

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** An LLM server that lets pages of all origins ask it, as vLLM does. */
const model: RequestListener = (request, response) => {
  response.setHeader('access-control-allow-origin', '*').setHeader('access-control-allow-headers', '*')
  if (request.method === 'OPTIONS') return response.writeHead(204).end()
  request
    .resume()
    .once('end', () =>
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion', choices: [] })),
    )
}

const page: RequestListener = ({ url }, response) => {
  const script = url === '/client.js'
  response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
  response.end(script ? CLIENT : '<!doctype html><link rel="icon" href="data:,">')
}

test('a page of another origin reads the headers and gives feedback by receipt, if the operator names it', {
  skip: noChromium,
}, async () => {
  await using upstream = await serve(model)
  await using named = await serve(page)
  await using stranger = await serve(page)
  await using sidecar = await startTestSidecar(upstream.url, { QIS_FEEDBACK_ORIGINS: named.url })
  const browser = await startChromium()
  try {
    const visit = async (url: string) => {
      const tab = await browser.newPage()
      await tab.goto(url)
      return tab.evaluate(`(async () => {
        const { createClient, readInsight } = await import('/client.js')
        const answer = await fetch('${sidecar.data}/v1/chat/completions', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'How tall is the Eiffel Tower?' }] }),
        })
        const insight = readInsight(answer.headers)
        const result = await createClient('${sidecar.data}').feedback(insight, { rating: 'down' }).catch(String)
        return { confidence: insight.confidence, status: result.status ?? result }
      })()`)
    }
    assert.deepEqual(await visit(named.url), { confidence: undefined, status: 'accepted' })
    const refused = (await visit(stranger.url)) as { confidence: number; status: string }
    assert.ok(refused.confidence < 0.5)
    assert.match(refused.status, /TypeError/)
  } finally {
    await browser.close()
  }
})
