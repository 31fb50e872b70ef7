/** A question is looked up while the server works on it: what comes meanwhile waits, whole and in order, and not for long. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { missing, POTION } from '../embeddings/shared-data.ts'
import { watchChildren } from '../support/children.ts'
import { until } from '../support/poll.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import { CHAT_BODY, CHAT_EVENTS, HUGE_BLOCK, startUpstream, type UpstreamMode } from '../support/upstream.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A sidecar whose embedder, a process of its own, can be made to stop and to go on. */
async function stoppable(settings: Record<string, string> = {}) {
  await using parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream())
  const watch = parts.use(watchChildren())
  const { data } = parts.use(
    await startTestSidecar(upstream.url, {
      QIS_EMBEDDER: 'transformers',
      QIS_EMBEDDER_MODEL: POTION,
      QIS_SPACE: 'potion-base-2m',
      QIS_ADVICE_DEADLINE_MS: '10000',
      QIS_UPSTREAM_HEADERS: 'off',
      ...settings,
    }),
  )
  const model = watch.children.at(-1)
  assert.ok(model, 'the model has a process')
  // One that is stopped cannot be ended.
  parts.defer(() => void model.kill('SIGCONT'))
  const leaving = new AbortController()
  const ask = (mode: UpstreamMode, headers: Record<string, string> = {}) =>
    fetch(`${data}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-qis-debug': '1', 'x-test-mode': mode, ...headers },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: `How is ${mode} answered?` }] }),
      signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(20_000)]),
    })
  const kept = parts.move()
  return {
    upstream,
    ask,
    leave: () => leaving.abort(),
    stop: () => void model.kill('SIGSTOP'),
    goOn: () => void model.kill('SIGCONT'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Whether it has settled by the time that others have had their turn. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise(resolve => setTimeout(resolve, 50, 'pending'))
  return (await Promise.race([promise, later])) === 'pending'
}

suite('while a question is looked up', { skip: missing(POTION) }, () => {
  test('its server works on it, and the answer comes with what is known', async () => {
    await using site = await stoppable()
    for (const [mode, whole] of [
      ['ok', CHAT_BODY],
      ['stream', CHAT_EVENTS.join('')],
    ] as const) {
      site.stop()
      const answered = site.ask(mode)
      const request = await site.upstream.nextRequest({ path: '/v1/chat/completions' })
      assert.deepEqual(await request.closed, { aborted: false }, 'the server has said all it had to say')
      assert.ok(await isPending(answered), 'and the client was given nothing of it')
      site.goOn()
      const answer = await answered
      assert.match(answer.headers.get('x-qis-fingerprint') ?? '', /^[0-9a-f]{16}$/)
      assert.ok(answer.headers.has('x-qis-receipt'))
      assert.equal(await answer.text(), whole)
    }
  })

  test('a large answer is held up at its server, and arrives whole', async () => {
    await using site = await stoppable()
    const length = 1024 * HUGE_BLOCK.length
    site.stop()
    const answered = site.ask('huge', { 'x-test-bytes': String(length) })
    const request = await site.upstream.nextRequest({ path: '/v1/chat/completions' })
    await until('the answer to begin', () => request.bytesSent > 0)
    assert.ok(await isPending(answered))
    const sent = request.bytesSent
    assert.ok(sent < length / 2, `${sent} bytes were taken of an answer that nobody reads`)
    site.goOn()
    const bytes = new Uint8Array(await (await answered).arrayBuffer())
    const wanted = createHash('sha256')
    for (let block = 0; block < 1024; block++) wanted.update(HUGE_BLOCK)
    assert.equal(sha256(bytes), wanted.digest('hex'))
  })

  test('an answer that breaks off is seen to break off', async () => {
    await using site = await stoppable()
    site.stop()
    const answered = site.ask('short-body')
    await (await site.upstream.nextRequest({ path: '/v1/chat/completions' })).closed
    assert.ok(await isPending(answered))
    site.goOn()
    await assert.rejects(
      answered.then(answer => answer.text()),
      'half an answer is none',
    )
  })

  test('a server that is gone is told of as ever', async () => {
    await using site = await stoppable()
    site.stop()
    const answered = site.ask('drop')
    await site.upstream.nextRequest({ path: '/v1/chat/completions' })
    site.goOn()
    const answer = await answered
    assert.equal(answer.status, 502)
    assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'upstream_failed')
  })

  test('a client that leaves takes its request along', async () => {
    await using site = await stoppable()
    site.stop()
    const answered = site.ask('never')
    const request = await site.upstream.nextRequest({ path: '/v1/chat/completions' })
    site.leave()
    await assert.rejects(answered, { name: 'AbortError' })
    assert.deepEqual(await request.closed, { aborted: true })
  })

  test('the answer waits no longer than the deadline', async () => {
    await using site = await stoppable({ QIS_ADVICE_DEADLINE_MS: '100' })
    site.stop()
    const answer = await site.ask('ok')
    assert.equal(await answer.text(), CHAT_BODY)
    assert.equal(answer.headers.get('x-qis-version'), '1')
    assert.equal(answer.headers.get('x-qis-fingerprint'), null)
  })
})
