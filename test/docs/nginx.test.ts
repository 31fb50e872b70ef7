import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { until } from '../support/poll.ts'
import { freePort } from '../support/ports.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const ROOT = join(import.meta.dirname, '../..')
const TLS = join(ROOT, 'test/fixtures/tls')
const missing = spawnSync('nginx', ['-v']).error

/** The page's own configuration, but for its port, its certificate and the sidecar's port. */
function configuration(port: string, sidecar: string): string {
  const page = readFileSync(join(ROOT, 'docs/behind-nginx.md'), 'utf8')
  const [, shown = ''] = /^```nginx\n([\s\S]*?)^```$/m.exec(page) ?? []
  const servers = shown
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/ssl/llm.example.pem', join(TLS, 'server.pem'))
    .replace('/etc/ssl/llm.example.key', join(TLS, 'server.key'))
    .replace('http://127.0.0.1:8787', sidecar)
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${name};`)
  return `daemon off; worker_processes 1; pid nginx.pid; error_log stderr; events {}
    http { access_log off; ${folders.join(' ')} ${servers} }`
}

async function startNginx(sidecar: string) {
  await using parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const port = String(await freePort())
  writeFileSync(join(folder.path, 'nginx.conf'), configuration(port, sidecar))
  const nginx = spawn('nginx', ['-p', folder.path, '-c', 'nginx.conf', '-e', 'stderr'])
  let said = ''
  nginx.stderr.on('data', text => {
    said += text
  })
  parts.defer(async () => {
    if (nginx.exitCode !== null) return
    const exited = once(nginx, 'exit')
    nginx.kill('SIGTERM')
    await exited
  })
  const send = (path: string, body: string, headers: Record<string, string> = {}) =>
    ask(Number(port), path, body, headers)
  await until('nginx', () => send('/up', '').catch(() => nginx.exitCode !== null && assert.fail(said)))
  const kept = parts.move()
  return { send, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function ask(
  port: number,
  path: string,
  body: string,
  headers: Record<string, string>,
): Promise<IncomingMessage> {
  const sent = request({
    port,
    path,
    method: 'POST',
    headers,
    rejectUnauthorized: false,
    signal: AbortSignal.timeout(60_000),
  })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

suite('docs/behind-nginx.md', { skip: missing && 'nginx is not installed' }, () => {
  test('has a configuration that streams, and passes targets and large bodies as they are', async () => {
    await using upstream = await startUpstream({
      handler: async ({ response, released }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
        await released()
        response.end('data: last\n\n')
      },
    })
    await using sidecar = await startTestSidecar(upstream.url)
    await using nginx = await startNginx(sidecar.data)
    const up = await upstream.nextRequest()
    up.release()

    const content = 'a'.repeat(3_000_000)
    const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content }] })
    const response = await nginx.send('/v1//chat/completions?a=%2f', body, { 'content-type': 'application/json' })
    const chunks = response.setEncoding('utf8')[Symbol.asyncIterator]()
    assert.match((await chunks.next()).value, /^data: first/)
    const received = await upstream.nextRequest()
    assert.equal(received.url, '/v1//chat/completions?a=%2f')
    received.release()
    assert.match((await chunks.next()).value, /^data: last/)
  })

  test('does not let feedback without a token pass for feedback from this machine, once a token is set', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_FEEDBACK_TOKEN: 'secret' })
    await using nginx = await startNginx(sidecar.data)
    const asked = await nginx.send(
      '/v1/chat/completions',
      '{"model":"m","messages":[{"role":"user","content":"hello"}]}',
    )
    asked.resume()
    const json = { 'content-type': 'application/json' }
    const rated = await nginx.send(
      '/qis/feedback',
      `{"request_id":"${asked.headers['x-qis-request-id']}","rating":"up"}`,
      json,
    )
    assert.equal(rated.statusCode, 401)
    rated.resume()
    const receipt = await nginx.send(
      '/qis/feedback',
      `{"receipt":"${asked.headers['x-qis-receipt']}","rating":"up"}`,
      json,
    )
    assert.equal(receipt.statusCode, 202)
    receipt.resume()
  })
})
