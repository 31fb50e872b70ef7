/** Requests over every endpoint and every way to fail, each with texts of its own in every field that takes one. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { sendRaw } from '../support/raw.ts'
import type { Markers } from './markers.ts'

export interface TrafficOptions {
  data: string
  admin: string
  evaluatorToken: string
  /** Larger bodies are refused by the sidecar. */
  maxBodyBytes: number
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

/** Two of each three questions are about the same, so that peers have a topic in common and packets leave. */
const TOPIC = 'How much ibuprofen may an adult take per day?'

/** An LLM server that puts markers into whatever it says, and fails when the question tells it to. */
export async function startMarkedModel(markers: Markers): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((incoming, response) => {
    void answer(incoming, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const mark = markers.make

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(incoming)
    const wants = (word: string) => body.includes(word) || incoming.url?.includes(word)
    if (incoming.url === '/v1/models') return void response.end('{"data":[{"id":"m"}]}')
    if (wants('please-hang')) return
    if (wants('please-drop')) return void response.destroy()
    response.setHeader('set-cookie', `session=${mark('answer header')}`)
    response.setHeader('x-request-id', mark('answer header'))
    if (wants('please-fail')) {
      response.writeHead(500, { 'content-type': 'application/json' })
      return void response.end(JSON.stringify({ error: { message: mark('answer'), code: mark('answer') } }))
    }
    const id = `chatcmpl-${mark('completion id')}`
    const call = {
      id: mark('answer'),
      type: 'function',
      function: { name: mark('answer'), arguments: `{"a":"${mark('answer')}"` },
    }
    if (body.includes('"stream":true')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (let at = 0; at < 3; at++) {
        const delta = { content: `${mark('answer')} `, ...(at === 2 && { tool_calls: [{ index: 0, ...call }] }) }
        response.write(`: ${mark('answer')}\n\ndata: ${JSON.stringify({ id, choices: [{ index: 0, delta }] })}\n\n`)
        if (at === 1 && wants('please-break')) return void response.destroy()
      }
      response.write(`data: {"broken ${mark('answer')}\n\n`)
      return void response.end('data: [DONE]\n\n')
    }
    const message = { role: 'assistant', content: mark('answer'), refusal: null, tool_calls: [call] }
    const logprobs = { content: [{ token: mark('answer'), logprob: -0.1 }] }
    const whole = JSON.stringify({
      id,
      model: mark('model'),
      choices: [{ index: 0, message, logprobs, finish_reason: wants('please-cut') ? 'length' : 'stop' }],
      data: [{ index: 0, embedding: [0.1] }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    })
    if (wants('please-zip')) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      return void response.end(gzipSync(whole))
    }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(wants('please-mangle') ? whole.slice(0, -9) : whole)
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

type Send = (method: string, url: string, body?: string | Buffer, headers?: Record<string, string>) => Promise<Answer>

/** What one request, or the few that belong together, are; each is called in its turn. */
export function createTraffic(markers: Markers, options: TrafficOptions): (() => Promise<number>)[] {
  const { data, admin, evaluatorToken, maxBodyBytes } = options
  const mark = markers.make
  let sent = 0

  const send: Send = async (method, url, body, headers = {}) => {
    sent++
    const outgoing = request(url, {
      method,
      headers: {
        authorization: `Bearer ${mark('credential')}`,
        cookie: `a=${mark('credential')}`,
        'user-agent': mark('request header'),
        'x-forwarded-for': mark('request header'),
        traceparent: mark('request header'),
        'x-qis-anything': mark('request header'),
        ...headers,
      },
    })
    outgoing.end(body)
    try {
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
      return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: await text(incoming).catch(() => '') }
    } catch {
      return { status: 0, headers: {}, body: '' }
    }
  }
  const question = (wish = '') => ({
    model: mark('model').slice(0, 16),
    messages: [
      { role: 'system', content: mark('question') },
      { role: 'user', content: `${TOPIC} ${mark('question')}` },
      { role: 'assistant', content: mark('question') },
      { role: 'user', name: mark('question'), content: `${TOPIC} ${mark('question')} ${wish}` },
    ],
    user: mark('question'),
    metadata: { [mark('question')]: mark('question') },
    tools: [{ type: 'function', function: { name: mark('question'), description: mark('question') } }],
    response_format: { type: 'json_object' },
  })
  const shared = () => ({ 'x-qis-domain': `canaries.${mark('domain')}`, 'x-qis-strategy': mark('strategy') })
  const post = (path: string, body: unknown, headers?: Record<string, string>) =>
    send(
      'POST',
      `${data}${path}?key=${mark('question')}#${mark('question')}`,
      typeof body === 'string' ? body : JSON.stringify(body),
      {
        'content-type': 'application/json',
        ...headers,
      },
    )
  const feedback = (body: unknown, headers?: Record<string, string>) =>
    send('POST', `${data}/qis/feedback`, typeof body === 'string' ? body : JSON.stringify(body), headers)
  const words = () => ({
    comment: mark('comment'),
    tags: [mark('tag')],
    correction: { type: 'factual', text: mark('correction') },
    user_id: mark('feedback'),
    metadata: { note: mark('feedback') },
    snapshot: { chat: { title: mark('feedback') } },
  })

  async function rated(
    more: object,
    headers?: Record<string, string>,
    idOf?: (answer: Answer) => object,
  ): Promise<void> {
    const answer = await post('/v1/chat/completions', question(), sent % 2 ? shared() : {})
    const id = idOf?.(answer) ?? { request_id: answer.headers['x-qis-request-id'] }
    await feedback({ ...id, ...more }, headers)
  }
  const receiptOf = ({ headers }: Answer) => ({ receipt: headers['x-qis-receipt'] })
  const completionOf = ({ body }: Answer) => ({ completion_id: /"id":"([^"]+)"/.exec(body)?.[1] ?? '' })

  async function abandon(path: string, body: object): Promise<void> {
    sent++
    const outgoing = request(data + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${mark('credential')}` },
    })
    outgoing.on('error', () => undefined)
    outgoing.write(JSON.stringify(body).slice(0, -2))
    if (sent % 2) outgoing.end('}}')
    await new Promise(resolve => setImmediate(resolve))
    outgoing.destroy()
  }

  async function raw(url: string, bytes: string): Promise<void> {
    sent++
    await sendRaw(url, bytes, { deadlineMs: 2_000 })
  }

  async function change(): Promise<void> {
    const answer = await post('/v1/chat/completions', question())
    const given = await feedback({ ...receiptOf(answer), rating: 'up', ...words() })
    const id = /"feedback_id":"([^"]+)"/.exec(given.body)?.[1] ?? ''
    await send('PUT', `${admin}/qis/feedback/${id}`, JSON.stringify({ rating: 'down', ...words() }))
    if (sent % 3 === 0) await send('DELETE', `${admin}/qis/feedback/${id}`)
  }

  const kinds: (() => Promise<unknown>)[] = [
    () => post('/v1/chat/completions', question(), shared()),
    () => post('/v1/chat/completions', { ...question(), stream: true }, shared()),
    () => post('/v1/completions', { model: 'm', prompt: `${TOPIC} ${mark('question')}`, suffix: mark('question') }),
    () => post('/v1/completions', { model: 'm', prompt: [mark('question')], stream: true }),
    () => post('/v1/embeddings', { model: 'm', input: [mark('question'), mark('question')] }),
    () => post('/v1/rerank', { model: 'm', query: mark('question'), documents: [mark('question')] }),
    () => post('/v1/responses', { model: 'm', input: mark('question'), instructions: mark('question') }),
    () => post('/v1/messages', { model: 'm', system: mark('question'), messages: question().messages }),
    () => post('/api/chat', { model: 'm', messages: question().messages }),
    () => post('/generate', { inputs: `${TOPIC} ${mark('question')}` }),
    () => post('/qis/advise', question(), shared()),
    () => post('/qis/rerank', { model: 'm', query: mark('question'), documents: [mark('question'), mark('question')] }),
    () => post('/qis/advise', { [mark('question')]: mark('question'), messages: mark('question') }),
    () => send('GET', `${data}/${mark('question')}/x?y=${mark('question')}`),
    () =>
      send('PUT', `${data}/v1/files/${mark('question')}`, mark('question'), { 'content-type': mark('request header') }),
    () => post('/v1/chat/completions', question('please-fail')),
    () => post('/v1/chat/completions', question('please-drop')),
    () => post('/v1/chat/completions', { ...question('please-break'), stream: true }),
    () => post('/v1/chat/completions', question('please-cut')),
    () => post('/v1/chat/completions', question('please-mangle')),
    () => post('/v1/chat/completions', question('please-zip'), { 'accept-encoding': 'gzip' }),
    () => post('/v1/chat/completions', `{"messages":[{"role":"user","content":"${mark('question')}`),
    () => post('/v1/chat/completions', mark('question')),
    () => post('/v1/chat/completions', `${mark('question')}${'x'.repeat(maxBodyBytes)}`),
    () => post('/v1/chat/completions', question(), { 'x-qis-debug': '1', 'x-qis-opt-out': mark('request header') }),
    () =>
      post('/v1/chat/completions', question(), {
        'x-qis-domain': `${mark('request header')}/?`,
        'x-qis-self-confidence': mark('request header'),
      }),
    () => post('/v1/chat/completions', question(), { 'content-encoding': mark('request header') }),
    () => abandon('/v1/chat/completions', question()),
    () => abandon('/v1/chat/completions', question('please-hang')),
    () => rated({ rating: 'up' }),
    () => rated({ rating: 'down', ...words() }, shared()),
    () => rated({ rating: 'down', ...words() }, undefined, receiptOf),
    () => rated({ score: 0.25, name: mark('score name'), ...words() }, undefined, completionOf),
    () => rated({ rating: 'up', source: 'app', ...words() }, { 'idempotency-key': mark('feedback') }),
    () =>
      rated(
        { score: 0.5, source: 'evaluator', comment: mark('comment') },
        { authorization: `Bearer ${evaluatorToken}` },
      ),
    () => rated({ rating: 'down', source: 'evaluator', comment: mark('feedback') }),
    () => rated({ rating: 'up', score: 0, comment: mark('feedback') }),
    () => rated({ rating: mark('feedback') }),
    () => rated({ [mark('feedback')]: mark('feedback'), rating: 'up' }),
    () => rated({ rating: 'up', correction: { type: mark('feedback') } }),
    () => change(),
    () => feedback(`{"rating":"${mark('feedback')}`),
    () => feedback({ request_id: mark('feedback'), rating: 'up', comment: mark('feedback') }),
    () => feedback({ completion_id: 7, rating: 'up', comment: mark('feedback') }),
    () => feedback({ receipt: mark('feedback'), rating: 'up', comment: mark('feedback') }),
    () => feedback([{ request_id: mark('feedback'), rating: 'up' }, mark('feedback'), { rating: mark('feedback') }]),
    () => feedback({ request_id: 'a', comment: `${mark('feedback')}${'x'.repeat(1_100_000)}` }),
    () => send('POST', `${data}/v1/feedback?${mark('feedback')}=1`, JSON.stringify({ rating: mark('feedback') })),
    () => send('GET', `${data}/qis/${mark('feedback')}?a=${mark('feedback')}`),
    () => send('GET', `${data}/qis/feedback/${mark('feedback')}`, undefined, { 'x-qis-receipt': mark('feedback') }),
    () => send('POST', `${data}/qis/feedback`, '{}', { origin: `http://${mark('request header')}.example` }),
    () => send('GET', `${admin}/${mark('feedback')}`),
    () => send('GET', `${admin}/qis/status`, undefined, { host: `${mark('request header')}.example` }),
    () => send('GET', `${admin}/qis/feedback?cursor=${mark('feedback')}&model=${mark('feedback')}`),
    () => send('GET', `${admin}/qis/feedback?domain=${mark('feedback')}`),
    () => send('GET', `${admin}/qis/ledger?offset=${mark('feedback')}`),
    () => send('PUT', `${admin}/qis/feedback/${mark('feedback')}`, `{"${mark('feedback')}`),
    () => raw(data, `GET /${mark('question')} HTTP/1.1\r\nbroken ${mark('question')}\r\n\r\n`),
    () => raw(admin, `POST /qis/${mark('question')} HTTP/1.1\r\ncontent-length: x\r\n\r\n${mark('question')}`),
    () => raw(data, `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${mark('question')}${'a'.repeat(70_000)}\r\n\r\n`),
    () => send('GET', `${data}/%zz${mark('question')}`),
  ]
  return kinds.map(kind => async () => {
    const before = sent
    await kind()
    return sent - before
  })
}

/** Everything that the admin listener shows, metrics first. */
export async function adminPages(admin: string): Promise<Buffer[]> {
  const pages: Buffer[] = []
  for (const path of [
    '/metrics',
    '/qis/status',
    '/qis/peers',
    '/qis/packets',
    '/qis/reliability',
    '/qis/ledger/verify',
    '/qis/openapi.json',
  ]) {
    pages.push(Buffer.from(await (await fetch(admin + path)).arrayBuffer()))
  }
  for (let offset = 0; ; offset += 100) {
    const page = (await (await fetch(`${admin}/qis/ledger?offset=${offset}`)).json()) as { entries: unknown[] }
    pages.push(Buffer.from(JSON.stringify(page)))
    if (page.entries.length < 100) return pages
  }
}
