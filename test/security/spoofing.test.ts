/** An LLM server that speaks in our name: whatever it answers with, x-qis-* is what this sidecar says, or nobody. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { listenRaw, sendRaw } from '../support/raw.ts'
import { startTestSidecar } from '../support/sidecar.ts'

const SPOOFED =
  'X-QIS-Receipt: SPOOF\r\nx-qis-request-id: SPOOF\r\nX-Qis-Confidence: 0.99\r\nx-qis-new: SPOOF\r\nx-own: 1\r\n'
const QUESTION = '{"model":"m","messages":[{"role":"user","content":"How do planes fly?"}]}'
const CHAT = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${QUESTION.length}\r\n\r\n${QUESTION}`
const OTHER = 'POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** What a client gets that sends `bytes` when the LLM server's whole answer is `answer`. */
async function given(answer: string, bytes: string): Promise<string> {
  await using upstream = await listenRaw(answer)
  await using sidecar = await startTestSidecar(`http://127.0.0.1:${upstream.port}`)
  // an upgrade that is taken has no end
  return await sendRaw(sidecar.data, bytes, { enough: said => /^HTTP\/1.1 101 .*\r\n\r\n$/s.test(said) })
}

const ours = (answer: string) => [...answer.matchAll(/^(x-qis-[\w-]+):/gim)].map(([, name = '']) => name).toSorted()
const OF_AN_ANSWER = ['x-qis-receipt', 'x-qis-request-id', 'x-qis-version']

suite('an LLM server that sends x-qis-*', () => {
  test('is not believed, on any path or in an error; its other headers pass', async () => {
    for (const [bytes, status, expected] of [
      [CHAT, '200 OK', OF_AN_ANSWER],
      [CHAT, '500 Oops', OF_AN_ANSWER.filter(name => name !== 'x-qis-receipt')],
      [OTHER, '200 OK', []],
      [OTHER, '404 Not Found', []],
    ] as const) {
      const answer = await given(`HTTP/1.1 ${status}\r\n${SPOOFED}content-length: 2\r\n\r\n{}`, bytes)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status}\r\n`))
      assert.deepEqual(ours(answer), expected)
      assert.ok(!/SPOOF|0\.99/.test(answer))
      assert.match(answer, /^x-own: 1\r$/m)
    }
  })

  test('is not believed in trailers either', async () => {
    const trailers = 'x-qis-receipt: SPOOF\r\nx-checksum: 1\r\n'
    const body = `transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n${trailers}\r\n`
    const answer = await given(`HTTP/1.1 200 OK\r\n${body}`, CHAT)
    assert.ok(!answer.includes('SPOOF'))
    assert.match(answer, /\r\n0\r\nx-checksum: 1\r\n\r\n$/)
  })

  test('is not believed when it takes an upgrade, or refuses one', async () => {
    for (const status of ['101 Switching Protocols', '403 Forbidden']) {
      const length = status.startsWith('101')
        ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
        : 'Content-Length: 0\r\n'
      const answer = await given(`HTTP/1.1 ${status}\r\n${length}${SPOOFED}\r\n`, UPGRADE)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status}\r\n`))
      assert.deepEqual(ours(answer), [])
      assert.match(answer, /^x-own: 1\r$/m)
    }
  })

  test('cannot take ours back by naming them in Connection', async () => {
    const named = 'Connection: close, x-qis-receipt, X-QIS-Request-Id, x-gone\r\nConnection: x-qis-version, x-too\r\n'
    const answer = await given(`HTTP/1.1 200 OK\r\n${named}x-gone: 1\r\nx-too: 1\r\ncontent-length: 2\r\n\r\n{}`, CHAT)
    assert.deepEqual(ours(answer), OF_AN_ANSWER)
    assert.ok(!/^x-(?:gone|too):/im.test(answer))
  })
})
