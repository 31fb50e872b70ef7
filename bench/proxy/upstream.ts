/** An LLM server that answers at once: what remains of a request's time is the proxy's. */
import { createServer } from 'node:http'

/** Events of a streamed answer. */
export const EVENTS = 200

export const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_735_689_600,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'x'.repeat(600) }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 50, completion_tokens: 100, total_tokens: 150 },
})
const event = (content: string) =>
  `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1735689600,"model":"m","choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`

if (import.meta.main) {
  const server = createServer((request, response) => {
    let streamed = false
    request.on('data', (chunk: Buffer) => {
      streamed ||= chunk.subarray(0, 40).includes('"stream":true')
    })
    request.on('end', () => {
      if (!streamed) {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length }).end(ANSWER)
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let sent = 0
      // An event a turn of the loop: each is a chunk of its own, as tokens are.
      const next = () => {
        if (sent++ === EVENTS || response.destroyed) return response.end('data: [DONE]\n\n')
        response.write(event(`token${sent}`))
        setImmediate(next)
      }
      next()
    })
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`)
  })
}
