/** That no client can write into the log, or move the cursor of who reads it: one JSON object a line, and nothing of theirs. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { until } from '../support/poll.ts'
import { startQis } from '../support/qis.ts'
import { sendRaw } from '../support/raw.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const FORGED = '{"level":50,"msg":"forged line"}'
const ESCAPES = '\u001b[2J\u001b]0;title\u0007\u009b31m\u2028\u0000'

suite('the log', () => {
  test('has one JSON object a line and nothing that clients send, at any level', async () => {
    await using upstream = await startUpstream()
    await using folder = await tempFolder()
    await using running = startQis(['start'], {
      QIS_UPSTREAM: upstream.url,
      QIS_DATA: folder.path,
      QIS_MODE: 'off',
      QIS_LOG_LEVEL: 'trace',
      QIS_DATA_LISTEN: '127.0.0.1:0',
      QIS_ADMIN_LISTEN: '127.0.0.1:0',
    })
    const ready = await until('the sidecar to be ready', () => /^.*"msg":"ready.*$/m.exec(running.out())?.[0], {
      deadlineMs: 60_000,
    })
    const { data } = JSON.parse(ready) as { data: string }
    const inHeader = Buffer.from(ESCAPES.replaceAll(/[\0\r\n]/g, '')).toString('latin1')
    const body = JSON.stringify({
      model: `m\n${FORGED}\n${ESCAPES}`,
      messages: [{ role: 'user', content: `\n${FORGED}\n` }],
    })
    const requests = [
      `GET /v1/${encodeURIComponent(`\n${FORGED}\n`)}%1b%5b2J HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /qis/feedback/%0a${encodeURIComponent(FORGED)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /v1/models HTTP/1.1\r\nHost: a\r\nUser-Agent: ${inHeader}\r\nx-request-id: ${inHeader}\r\nx-qis-domain: ${inHeader}\r\nConnection: close\r\n\r\n`,
      `GET /\n${FORGED}\n HTTP/1.1\r\nHost: a\r\n\r\n`,
      `${ESCAPES}\n${FORGED}\n\r\n\r\n`,
      `POST /qis/feedback HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${FORGED.length + 1}\r\nConnection: close\r\n\r\n\n${FORGED}`,
      `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${Buffer.from(body).toString('latin1')}`,
    ]
    for (const request of requests) assert.match(await sendRaw(data, request), /^HTTP\/1\.1 \d{3} /)
    running.child.kill('SIGTERM')
    assert.equal(await running.ended, 0)
    const lines = `${running.out()}${running.err()}`.split('\n').filter(line => line !== '')
    assert.ok(lines.length > 0)
    for (const line of lines) {
      assert.equal(typeof JSON.parse(line), 'object')
      assert.doesNotMatch(line, /forged/)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/)
    }
  })
})
