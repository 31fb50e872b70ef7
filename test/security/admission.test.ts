/** Who is let in on which listener, and whose word is taken for whose; over HTTP, as a stranger would try it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { json, text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { answering, ask, outcomes, refused, shown, taken } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { sendRaw } from '../support/raw.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const EXPOSED = { QIS_DATA_LISTEN: '0.0.0.0:0', QIS_ADMIN_LISTEN: '0.0.0.0:0', QIS_ADMIN_TOKEN: 'secret' }

/** As fetch will not: with any Host. */
async function get(url: string, headers: Record<string, string>, method = 'GET'): Promise<IncomingMessage> {
  const sent = request(url, { method, headers }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return answer
}
async function code(answer: IncomingMessage): Promise<string | undefined> {
  const { error } = (await json(answer)) as { error?: { code: string } }
  return error?.code
}

suite('the admin listener', () => {
  test('beyond loopback shows nothing without the token, on any path, but whether it is well, and the empty page', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, EXPOSED)
    const paths = [
      '/metrics',
      '/qis/status',
      '/qis/ledger',
      '/qis/feedback',
      '/qis/feedback/fb-1',
      '/nothing',
      '//',
      '/qis/%2e%2e/metrics',
    ]
    for (const path of [...paths, '/METRICS', '/metrics/', '/healthz/x', '/qis/openapi.json']) {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        for (const headers of [{}, bearer('wrong'), { authorization: 'Basic secret' }]) {
          const answer = await get(sidecar.admin + path, headers, method)
          assert.equal(answer.statusCode, 401, `${method} ${path}`)
          assert.equal(answer.headers['www-authenticate'], 'Bearer')
          assert.equal(await code(answer), 'unauthorized')
        }
      }
    }
    assert.equal((await fetch(`${sidecar.admin}/metrics`, { headers: bearer('secret') })).status, 200)
    for (const path of ['/healthz', '/readyz']) assert.equal((await fetch(sidecar.admin + path)).status, 200)
    // the page has nothing of its own to show: what it shows, it asks for with the token
    const bare = await get(`${sidecar.admin}/`, {}, 'GET')
    assert.deepEqual([bare.statusCode, bare.headers.location], [308, 'qis/'])
    assert.equal((await get(`${sidecar.admin}/`, {}, 'POST')).statusCode, 401)
  })

  test('on loopback is open, unless a token is set', async () => {
    await using upstream = await answering()
    await using open = await startTestSidecar(upstream.url)
    assert.equal((await fetch(`${open.admin}/qis/status`)).status, 200)
    await using closed = await startTestSidecar(upstream.url, { QIS_ADMIN_TOKEN: 'secret' })
    assert.equal((await fetch(`${closed.admin}/qis/status`)).status, 401)
    assert.equal((await fetch(`${closed.admin}/qis/status`, { headers: bearer('secret') })).status, 200)
    const { requestId } = await ask(closed)
    await taken(await postFeedback(closed.data, { request_id: requestId, rating: 'up' }))
  })

  test('a token for metrics is good for those and nothing else', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { ...EXPOSED, QIS_METRICS_TOKEN: 'scrape' })
    const status = async (path: string, token: string) =>
      (await fetch(sidecar.admin + path, { headers: bearer(token) })).status
    assert.equal(await status('/metrics', 'scrape'), 200)
    assert.equal(await status('/qis/status', 'scrape'), 401)
    assert.equal(await status('/metrics', 'secret'), 200)
    await using local = await startTestSidecar(upstream.url, { QIS_METRICS_TOKEN: 'scrape' })
    assert.equal((await fetch(`${local.admin}/metrics`)).status, 401)
    assert.equal((await fetch(`${local.admin}/qis/status`)).status, 200)
  })

  test('a token in a file can be replaced without a restart', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'tokens')
    await writeFile(file, 'old\n')
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { ...EXPOSED, QIS_ADMIN_TOKEN: `file:${file}` })
    const status = async (token: string) =>
      (await fetch(`${sidecar.admin}/qis/status`, { headers: bearer(token) })).status
    assert.equal(await status('old'), 200)
    await writeFile(file, 'new\n')
    await until('the new token to admit', async () => (await status('new')) === 200)
    assert.equal(await status('old'), 401)
  })

  test('is not reached by a page whose name resolves to this machine (DNS rebinding)', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_HOSTS: 'ops.example' })
    const { port } = new URL(sidecar.admin)
    const url = `${sidecar.admin}/qis/status`
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'a@127.0.0.1',
      '127.0.0.1/x',
      'notlocalhost',
    ]) {
      const answer = await get(url, { host })
      assert.equal(answer.statusCode, 421, host)
      assert.equal(await code(answer), 'host_refused')
    }
    for (const host of [
      `127.0.0.1:${port}`,
      'localhost',
      'LOCALHOST:1',
      '[::1]:8788',
      '10.1.2.3',
      'ops.example:8788',
      'ops.example.',
    ]) {
      assert.equal((await get(url, { host })).statusCode, 200, host)
    }
    assert.equal((await get(`${sidecar.admin}/healthz`, { host: 'evil.example' })).statusCode, 200)
    await using plain = await startTestSidecar(upstream.url)
    assert.equal((await get(`${plain.admin}/qis/status`, { host: 'ops.example' })).statusCode, 421)
  })

  test('goes by the host in the target where one is named, whatever Host says', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_HOSTS: 'ops.example' })
    for (const [url, path, allowed] of [
      [sidecar.admin, '/qis/status', 200],
      [sidecar.data, '/v1/models', 200],
    ] as const) {
      const status = async (target: string, host: string) => {
        const head = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
        return Number((await sendRaw(url, head)).split(' ')[1])
      }
      for (const name of ['evil.example', 'evil.example:1', 'a@127.0.0.1', '']) {
        assert.equal(await status(`http://${name}${path}`, 'localhost'), 421, name)
      }
      assert.equal(await status(`http://ops.example${path}`, 'evil.example'), allowed)
      assert.equal(await status(`HTTP://127.0.0.1:1${path}`, 'localhost'), allowed)
    }
  })

  test('answers no other page, and tells browsers to keep, frame and guess nothing', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1', sidecar.data]) {
      const answer = await get(`${sidecar.admin}/qis/status`, { origin })
      assert.equal(answer.statusCode, 403, origin)
      assert.equal(answer.headers['access-control-allow-origin'], undefined)
    }
    for (const path of ['/qis/status', '/metrics', '/nothing', '/healthz']) {
      const { headers } = await get(sidecar.admin + path, { origin: sidecar.admin })
      assert.match(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/)
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
    }
  })
})

suite('whose word is taken', () => {
  test('a token speaks for those that stand behind it, and nobody for others by saying so', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'tokens')
    await writeFile(file, 'program app\nperson user\nboth\n')
    await using upstream = await answering()
    const settings = { QIS_FEEDBACK_TOKEN: `file:${file}`, QIS_EVALUATOR_TOKEN: 'judge', QIS_ADMIN_TOKEN: 'secret' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    const say = async (token: string, source?: string) => {
      const { requestId } = await ask(sidecar)
      const body = { request_id: requestId, rating: 'down', ...(source && { source }) }
      return postFeedback(sidecar.data, body, token === '' ? {} : bearer(token))
    }
    const observed = async (token: string, source?: string) => {
      await taken(await say(token, source))
      return (await outcomes(sidecar)).at(-1)?.observer
    }
    assert.equal(await observed('program'), 'i')
    assert.equal(await observed('person'), 'h')
    assert.equal(await observed('both'), 'h')
    assert.equal(await observed('both', 'app'), 'i')
    assert.equal(await observed('judge'), 'e')
    assert.equal(await observed('secret', 'app'), 'i')
    await refused(await say('program', 'user'), 403, 'source_refused', 'source')
    await refused(await say('person', 'app'), 403, 'source_refused', 'source')
    await refused(await say('judge', 'user'), 403, 'source_refused', 'source')
    for (const token of ['program', 'person', 'both', 'secret']) {
      await refused(await say(token, 'evaluator'), 403, 'evaluator_refused', 'source')
    }
    for (const token of ['', 'wrong']) await refused(await say(token), 401, 'unauthorized', null)
    await refused(await say('both', 'implicit'), 422, 'invalid_field', 'source')
  })

  test('a receipt speaks for a person: as a program nobody speaks without a token, nor does a page', async () => {
    await using upstream = await answering()
    const settings = { QIS_FEEDBACK_TOKEN: 'program app', QIS_FEEDBACK_ORIGINS: 'https://chat.example' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    const { requestId, receipt } = await ask(sidecar)
    const theirs = { request_id: requestId, rating: 'up', comment: 'by the program' }
    const { feedback_id: id } = await taken(await postFeedback(sidecar.data, theirs, bearer('program')))
    const forged = { receipt, rating: 'down', comment: 'by a stranger', source: 'app' }
    for (const headers of [{}, bearer('wrong'), { origin: 'https://chat.example' }]) {
      await refused(await postFeedback(sidecar.data, forged, headers), 403, 'source_refused', 'source')
      const batch = (await (await postFeedback(sidecar.data, [forged], headers)).json()) as {
        results: { error?: { code: string } }[]
      }
      assert.equal(batch.results[0]?.error?.code, 'source_refused')
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await fetch(`${sidecar.data}/qis/feedback/${id}`, {
        method,
        headers: { 'x-qis-receipt': receipt, 'content-type': 'application/json' },
        ...(method === 'PUT' && { body: '{"rating":"down"}' }),
      })
      await refused(answer, 404, 'unknown_id', 'id')
    }
    const { rating, comment } = await shown(sidecar, id)
    assert.deepEqual({ rating, comment }, { rating: 'up', comment: 'by the program' })
    assert.equal((await taken(await postFeedback(sidecar.data, forged, bearer('program')))).feedback_id, id)

    await using open = await startTestSidecar(upstream.url, { QIS_FEEDBACK_ORIGINS: 'https://chat.example' })
    const { requestId: other } = await ask(open)
    const guess = { request_id: other, score: 0.5, source: 'app' }
    const page = { origin: 'https://chat.example' }
    await refused(await postFeedback(open.data, guess, page), 403, 'source_refused', 'source')
    const made = await taken(await postFeedback(open.data, guess))
    const seen = await fetch(`${open.data}/qis/feedback/${made.feedback_id}`, { headers: page })
    await refused(seen, 404, 'unknown_id', 'id')
    await taken(await postFeedback(open.data, { request_id: other, rating: 'up' }, page))
  })

  test('an evaluator’s token asks nothing of what is known: that is for applications and operators', async () => {
    await using upstream = await answering()
    const settings = { QIS_FEEDBACK_TOKEN: 'program app', QIS_EVALUATOR_TOKEN: 'judge', QIS_ADMIN_TOKEN: 'secret' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    const bodies = {
      '/qis/advise': { text: 'How do planes fly?', model: 'm' },
      '/qis/rerank': { query: 'planes', documents: ['wings', 'soup'] },
    }
    const paths = Object.keys(bodies) as (keyof typeof bodies)[]
    const asked = (url: string, path: keyof typeof bodies, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(bodies[path]),
      })
    for (const path of paths) {
      for (const token of ['program', 'secret']) {
        assert.equal((await asked(sidecar.data, path, bearer(token))).status, 200, `${path} ${token}`)
      }
      for (const headers of [{}, bearer('wrong'), bearer('judge')]) {
        await refused(await asked(sidecar.data, path, headers), 401, 'unauthorized', null)
      }
    }
    await using open = await startTestSidecar(upstream.url, { QIS_EVALUATOR_TOKEN: 'judge' })
    for (const path of paths) {
      assert.equal((await asked(open.data, path)).status, 200, path)
      await refused(await asked(open.data, path, bearer('judge')), 401, 'unauthorized', null)
    }
    const document = (await (await fetch(`${open.admin}/qis/openapi.json`)).json()) as {
      paths: Record<string, { post: { description: string } }>
    }
    for (const path of paths)
      assert.match(document.paths[path]?.post.description ?? '', /evaluator's token opens nothing/)
  })

  test('a program sees and changes what programs said, and nothing of what people did', async () => {
    await using upstream = await answering()
    const settings = { QIS_FEEDBACK_TOKEN: 'program app' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    const { requestId, receipt } = await ask(sidecar)
    const mine = await taken(
      await postFeedback(sidecar.data, { request_id: requestId, score: 0.25 }, bearer('program')),
    )
    const theirs = await taken(await postFeedback(sidecar.data, { receipt, rating: 'up', comment: 'thanks' }))
    const of = (id: string, method = 'GET') =>
      fetch(`${sidecar.data}/qis/feedback/${id}`, { method, headers: bearer('program') })
    assert.equal((await of(mine.feedback_id)).status, 200)
    await refused(await of(theirs.feedback_id), 404, 'unknown_id', 'id')
    await refused(await of(theirs.feedback_id, 'DELETE'), 404, 'unknown_id', 'id')
    assert.equal((await of(mine.feedback_id, 'DELETE')).status, 200)
  })

  test('proxied requests need no token, and theirs is the upstream’s, untouched', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, {
      ...EXPOSED,
      QIS_FEEDBACK_TOKEN: 'x',
      QIS_RATE_LIMIT: '1',
    })
    for (let times = 0; times < 5; times++) {
      const answer = await chat(sidecar.data, 'hello', bearer('sk-of-the-upstream'))
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('content-security-policy'), null)
    }
    for (const { headers } of upstream.requests) assert.equal(headers.authorization, 'Bearer sk-of-the-upstream')
  })
})

suite('a data listener that has names', () => {
  test('refuses requests by any other, proxied ones too', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_HOSTS: 'qis.example' })
    for (const path of ['/v1/models', '/qis/feedback/fb-1']) {
      const answer = await get(sidecar.data + path, { host: 'evil.example' })
      assert.equal(answer.statusCode, 421)
      assert.equal(await code(answer), 'host_refused')
    }
    assert.equal(upstream.requests.length, 0)
    for (const host of ['qis.example', '127.0.0.1']) {
      await text(await get(`${sidecar.data}/v1/models`, { host }))
    }
    assert.equal(upstream.requests.length, 2)
    await using nameless = await startTestSidecar(upstream.url)
    await text(await get(`${nameless.data}/v1/models`, { host: 'evil.example' }))
    assert.equal(upstream.requests.length, 3, 'without names, the upstream judges')
  })

  test('a page with a name of its own is not ours because it resolves to us', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const { port } = new URL(sidecar.data)
    const page = { host: `evil.example:${port}`, origin: `http://evil.example:${port}` }
    const answer = await get(`${sidecar.data}/qis/feedback`, page, 'POST')
    assert.equal(await code(answer), 'origin_refused')
    const { requestId, receipt } = await ask(sidecar)
    const { feedback_id: id } = await taken(await postFeedback(sidecar.data, { request_id: requestId, rating: 'up' }))
    for (const method of ['GET', 'PUT', 'DELETE']) {
      // As a page does that asks what it takes for its own server: without Origin where it changes nothing.
      const looked = await get(`${sidecar.data}/qis/feedback/${id}`, { host: page.host }, method)
      assert.equal(await code(looked), 'host_refused', method)
    }
    const program = { host: 'llm.example', 'x-qis-receipt': receipt }
    assert.equal((await get(`${sidecar.data}/qis/feedback/${id}`, program)).statusCode, 200)
    assert.equal((await get(`${sidecar.data}/qis/feedback/${id}`, { host: `localhost:${port}` })).statusCode, 200)
    const own = { host: `localhost:${port}`, origin: `http://localhost:${port}` }
    assert.equal(await code(await get(`${sidecar.data}/qis/feedback`, own, 'POST')), 'invalid_field')
  })
})

suite('rates', () => {
  test('of our own endpoints are limited for each address, whether there is such a path or not', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_RATE_LIMIT: '10', QIS_ADMIN_TOKEN: 'secret' })
    for (const url of [`${sidecar.data}/qis/feedback`, `${sidecar.admin}/qis/status`, `${sidecar.admin}/guess`]) {
      const statuses: number[] = []
      for (let times = 0; times < 12; times++) {
        const answer = await fetch(url, { method: 'POST', headers: bearer(`guess-${times}`), body: '{}' })
        statuses.push(answer.status)
        if (answer.status === 429) {
          assert.ok(Number(answer.headers.get('retry-after')) > 0)
          assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'rate_limited')
        }
      }
      assert.deepEqual(statuses.slice(-2), [429, 429], url)
    }
    assert.equal((await fetch(`${sidecar.admin}/healthz`)).status, 200)
    assert.equal((await chat(sidecar.data, 'hello')).status, 200)
  })

  test('of who shows a good token are its own: nobody at the same address can shut it out', async () => {
    await using upstream = await answering()
    const tokens = { QIS_ADMIN_TOKEN: 'secret', QIS_FEEDBACK_TOKEN: 'program app', QIS_METRICS_TOKEN: 'scrape' }
    await using sidecar = await startTestSidecar(upstream.url, { QIS_RATE_LIMIT: '5', ...tokens })
    const status = async (url: string, token: string) => (await fetch(url, { headers: bearer(token) })).status
    for (const [url, token, well] of [
      [`${sidecar.admin}/qis/status`, 'secret', 200],
      [`${sidecar.admin}/metrics`, 'scrape', 200],
      [`${sidecar.data}/qis/feedback/fb-1`, 'program', 404],
    ] as const) {
      for (let times = 0; times < 7; times++) await status(url, `guess-${times}`)
      assert.equal(await status(url, 'guess'), 429)
      for (let times = 0; times < 5; times++) assert.equal(await status(url, token), well)
      assert.equal(await status(url, token), 429, 'it has an end too')
    }
  })

  test('of 0 are none', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_RATE_LIMIT: '0' })
    for (let times = 0; times < 50; times++) {
      assert.equal((await fetch(`${sidecar.admin}/qis/status`)).status, 200)
    }
  })
})

suite('bodies that cost much and say nothing', () => {
  test('are refused before they are parsed: depth, and batches of strangers', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url, { ...EXPOSED })
    const { requestId, receipt } = await ask(sidecar)
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    const within = (depth: number) =>
      `{"request_id":"${requestId}","rating":"up","snapshot":{"a":"\\"[{","b":${nested(depth)}}}`
    for (const deep of [nested(500_000), within(500_000), '{"a":'.repeat(100_000), within(99)]) {
      const begun = performance.now()
      await refused(await postFeedback(sidecar.data, deep, bearer('secret')), 400, 'invalid_json', null)
      assert.ok(performance.now() - begun < 10_000)
    }
    await taken(await postFeedback(sidecar.data, within(98), bearer('secret')))
    const brackets = { request_id: requestId, comment: '[{"\\'.repeat(500) }
    await taken(await postFeedback(sidecar.data, brackets, bearer('secret')))
    const many = (count: number) => Array.from({ length: count }, () => ({ receipt, rating: 'up' }))
    assert.equal((await postFeedback(sidecar.data, many(20))).status, 207)
    await refused(await postFeedback(sidecar.data, many(21)), 422, 'invalid_field', '')
    assert.equal((await postFeedback(sidecar.data, many(1_000), bearer('secret'))).status, 207)
  })
})

suite('bodies of our own endpoints', () => {
  test('have a bound, each its own, and one beyond it is told so', async () => {
    await using upstream = await answering()
    await using sidecar = await startTestSidecar(upstream.url)
    const MIB = 1024 * 1024
    const send = (path: string, bytes: number, chunked: boolean, origin = sidecar.data) => {
      const body = `{"x":"${'x'.repeat(bytes - 8)}"}`
      return fetch(origin + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: chunked ? new Blob([body]).stream() : body,
        ...(chunked && { duplex: 'half' }),
      })
    }
    for (const [path, bound] of [
      ['/qis/feedback', MIB],
      ['/v1/feedback', MIB],
      ['/qis/advise', MIB],
      ['/qis/rerank', 4 * MIB],
      ['/qis/v2/rerank', 4 * MIB],
    ] as const) {
      await refused(await send(path, bound + 1, false), 413, 'body_too_large', null)
      await refused(await send(path, bound + 1, true), 413, 'body_too_large', null)
      assert.equal((await send(path, bound, true)).status, 422, 'it was read')
    }
    for (const path of ['/qis/feedback', '/qis/advise']) {
      await refused(await send(path, MIB + 1, false, sidecar.admin), 413, 'body_too_large', null)
    }
  })
})
