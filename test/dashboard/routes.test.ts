/** What the admin listener serves of the dashboard, as any client sees it. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { readPageFiles } from '../../proxy/dashboard/files.ts'
import { answering, ask, refused, taken } from '../support/asking.ts'
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts'

const TOKEN = { authorization: 'Bearer secret' }
const get = <T>({ admin }: TestSidecar, path: string) =>
  fetch(admin + path, { headers: TOKEN }).then(answer => answer.json() as Promise<T>)
const post = ({ admin }: TestSidecar, path: string, body: object, headers: object = TOKEN) =>
  fetch(admin + path, { method: 'POST', body: JSON.stringify(body), headers: { ...headers } })

suite('the files of the dashboard', () => {
  test('are served to everyone with their types, from a fixed list, and only when they have changed', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url, { QIS_ADMIN_TOKEN: 'secret' })
    const page = await fetch(`${site.admin}/qis/`)
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(page.headers.get('content-security-policy') ?? '', /script-src 'self';.*style-src 'self'/)
    const html = await page.text()
    assert.doesNotMatch(html, /<style|style=|<script(?! [^>]*src=)| on\w+=|https?:\/\//)
    for (const [, path] of html.matchAll(/(?:src|href)="(page\/[^"]+)"/g)) {
      const file = await fetch(`${site.admin}/qis/${path}`)
      assert.equal(file.status, 200, path)
      assert.match(file.headers.get('content-type') ?? '', /^(text\/(css|javascript); charset=utf-8|image\/svg\+xml)$/)
      assert.equal(file.headers.get('cache-control'), 'no-cache')
      const etag = file.headers.get('etag') ?? ''
      const again = await fetch(`${site.admin}/qis/${path}`, { headers: { 'if-none-match': etag } })
      assert.deepEqual([again.status, await again.text()], [304, ''])
    }
    for (const path of ['/qis', '/']) {
      const moved = await fetch(site.admin + path, { redirect: 'manual' })
      assert.deepEqual([moved.status, moved.headers.get('location')], [308, 'qis/'], path)
    }
    for (const path of ['/qis/page/', '/qis/page/../../metrics', '/qis/page/%2e%2e/index.html', '/qis/page/x.js']) {
      assert.equal((await fetch(site.admin + path)).status, 401, path)
    }
  })

  test('make text of text alone: none of them can turn it into markup or code', () => {
    const own = readPageFiles().filter(({ path }) => path.endsWith('.js') && path !== 'page/uplot.js')
    assert.ok(own.length > 10)
    for (const { path, bytes } of own) {
      assert.doesNotMatch(
        bytes.toString(),
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc|DOMParser|\beval\b|new Function|localStorage|document\.cookie/,
        path,
      )
    }
  })

  test('are all that lies in the folder', () => {
    const listed = readPageFiles().map(({ path }) => path.replace('page/', '') || 'index.html')
    const there = readdirSync(join(import.meta.dirname, '../../proxy/dashboard/page'))
    assert.deepEqual(listed.toSorted(), [...there, 'uplot.css', 'uplot.js'].toSorted())
  })

  test('are served to no page that has another name for this machine', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url)
    const { origin } = new URL(site.admin)
    const answer = await site.sidecar.admin.inject({ url: '/qis/', headers: { host: 'evil.example' } })
    assert.equal(answer.statusCode, 421)
    assert.equal(
      (await site.sidecar.admin.inject({ url: '/qis/', headers: { host: new URL(origin).host } })).statusCode,
      200,
    )
  })
})

suite('what the dashboard asks for', () => {
  test('needs the admin token; whether one is needed, and is the right one, anyone may know', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url, { QIS_ADMIN_TOKEN: 'secret' })
    for (const path of ['overview', 'knowledge', 'topics?codes=00', 'answers']) {
      assert.equal((await fetch(`${site.admin}/qis/${path}`)).status, 401, path)
      assert.equal((await fetch(`${site.admin}/qis/${path}`, { headers: TOKEN })).status, 200, path)
    }
    for (const path of ['feedback', 'advise'])
      assert.equal((await post(site, `/qis/${path}`, {}, {})).status, 401, path)
    const admitted = async (headers: Record<string, string>) =>
      (await (await fetch(`${site.admin}/qis/entrance`, { headers })).json()) as object
    assert.deepEqual(await admitted({}), { admitted: false })
    assert.deepEqual(await admitted({ authorization: 'Bearer guessed' }), { admitted: false })
    assert.deepEqual(await admitted(TOKEN), { admitted: true })
    await using open = await startTestSidecar(upstream.url)
    assert.deepEqual(await (await fetch(`${open.admin}/qis/entrance`)).json(), { admitted: true })
  })

  test('lists the last answers with what was said of them, and takes feedback and gives advice here too', async () => {
    await using upstream = await answering(['chatcmpl-1', 'chatcmpl-2'])
    // Tokens of the data listener's own are none of its business.
    const settings = { QIS_ADMIN_TOKEN: 'secret', QIS_FEEDBACK_TOKEN: 'thumbs' }
    await using site = await startTestSidecar(upstream.url, settings)
    interface Answers {
      answers: { request_id: string; model: string; feedback: { verdict: string; source: string }[] }[]
    }
    const first = await ask(site)
    const second = await ask(site)
    const { answers } = await get<Answers>(site, '/qis/answers')
    assert.deepEqual(
      answers.map(({ request_id }) => request_id),
      [second.requestId, first.requestId],
    )
    assert.ok(!JSON.stringify(answers).includes('ibuprofen'))
    const { status } = await taken(await post(site, '/qis/feedback', { request_id: first.requestId, rating: 'down' }))
    assert.equal(status, 'accepted')
    const [, rated] = (await get<Answers>(site, '/qis/answers')).answers
    assert.deepEqual([rated?.feedback[0]?.verdict, rated?.feedback[0]?.source], ['down', 'user'])
    await refused(
      await post(site, '/qis/feedback', { request_id: second.requestId, rating: 'up', source: 'evaluator' }),
      403,
      'evaluator_refused',
      'source',
    )
    const advice = await post(site, '/qis/advise', {
      text: 'How much ibuprofen may an adult take per day?',
      model: 'm',
    })
    const { models } = (await advice.json()) as { models: { evidence: string; expected: number }[] }
    assert.ok(models[0] && models[0].evidence !== 'none' && models[0].expected < 0.5)
    for (const since of ['-1', 'x', '1.5']) {
      const answer = await fetch(`${site.admin}/qis/overview?since=${since}`, { headers: TOKEN })
      await refused(answer, 422, 'invalid_field', 'since')
    }
  })

  test('gives kinds of question names that fit', async () => {
    await using upstream = await answering()
    await using site = await startTestSidecar(upstream.url, { QIS_ADMIN_TOKEN: 'secret' })
    const asked = [
      ['What is the capital of Norway?', 'capitals and countries'],
      ['Spell the word basket backwards.', 'spelling backwards'],
      ['In which year was the battle of Cannae?', 'history'],
      ['Write a Python function that sorts a list of tuples.', 'Python code'],
      ['What is 81 divided by 9?', 'arithmetic'],
      ['How much ibuprofen may an adult take per day?', 'medicine doses'],
      ['Turn off the lamp in the bedroom.', 'smart home'],
      ['Why was my card refused at the shop?', 'cards and payments'],
      ['Translate "good night" into Spanish.', 'translation'],
      ['Who painted The Night Watch?', 'art'],
      ['What is the integral of x squared?', 'calculus'],
      ['Write a poem about the sea.', 'poems and songs'],
      ['How do I cook rice?', 'cooking'],
      ['Tell me a joke about cats.', 'jokes'],
      ['What is the best treatment for lung cancer?', 'cancer care'],
      ['Write an SQL query that counts orders by month.', 'SQL and databases'],
    ] as const
    const missed: string[] = []
    for (const [text, name] of asked) {
      const answer = await post(site, '/qis/advise', { text, model: 'm' })
      const { fingerprint } = (await answer.json()) as { fingerprint: string }
      const { names } = await get<{ names: Record<string, string[]> }>(site, `/qis/topics?codes=${fingerprint}`)
      if (!names[fingerprint]?.includes(name)) missed.push(`${text}: ${names[fingerprint]}`)
    }
    assert.ok(missed.length <= asked.length / 8, missed.join('\n'))
    for (const codes of ['', 'xy', '0', '00,', Array(101).fill('00').join(',')]) {
      const answer = await fetch(`${site.admin}/qis/topics?codes=${codes}`, { headers: TOKEN })
      await refused(answer, 422, 'invalid_field', 'codes')
    }
  })
})
