/** What is done with advice beyond telling it, closed into a loop: real answers, judged by the truth, change what is done next. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { askModel, modelServer, post, rate } from '../support/models.ts'
import { until } from '../support/poll.ts'
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

const AUTO = 'qis/auto'
const ROUTE = { QIS_ROUTE: 'practice, speller', QIS_ROUTE_EXPLORE: 'off', QIS_ROUTE_PRICE_WEIGHT: '0' }
/** What was published to nobody is sent again after a minute. */
const NETWORK_DEADLINE = { deadlineMs: 150_000 }

const LETTERS = ['strawberry', 'bookkeeper', 'committee', 'mississippi'].map(word => {
  const letter = word.at(-2) === 'p' ? 's' : word.includes('ee') ? 'e' : 'r'
  const right = [...word].filter(one => one === letter).length
  return {
    question: `How many letters ${letter} are in the word ${word}?`,
    right: (text: string) => text.includes(` ${right} `),
  }
})
const SUMS = [
  [17, 25],
  [31, 44],
  [52, 19],
].map(([a = 0, b = 0]) => ({ question: `What is ${a} + ${b}?`, right: (text: string) => text.includes(`${a + b}`) }))

/** Counts letters and does nothing else. */
function speller() {
  return startUpstream({
    handler: async ({ request, response }) => {
      const { messages } = JSON.parse(String((await request.body).bytes)) as { messages: { content: string }[] }
      const [, letter = '', word = ''] = /letters (\w) are in the word (\w+)/.exec(messages.at(-1)?.content ?? '') ?? []
      const count = [...word].filter(one => one === letter).length
      const content = word === '' ? 'I only count letters.' : `There are ${count} of them.`
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ id: 'chatcmpl-s', choices: [{ message: { role: 'assistant', content } }] }))
    },
  })
}

/** Asks, looks whether the answer is right, and says so; which model answered, and whether it was right. */
async function tried({ data }: TestSidecar, model: string, { question, right }: (typeof SUMS)[number]) {
  const response = await post(data, { model, messages: [{ role: 'user', content: question }] })
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
  const good = right(choices[0]?.message.content ?? '')
  await rate(data, { receipt: response.headers.get('x-qis-receipt') ?? '' }, { rating: good ? 'up' : 'down' })
  return { good, by: response.headers.get('x-qis-model') ?? model }
}

test('qis/auto answers more questions right than either model alone, by feedback alone', async () => {
  await using practice = createPracticeModel()
  await using spelling = await speller()
  const settings = { ...ROUTE, QIS_UPSTREAM: `${await practice.listen()} practice, ${spelling.url} speller` }
  await using sidecar = await startTestSidecar('', settings)
  const questions = [...LETTERS, ...SUMS]
  const rightOf = async (model: string) => {
    const results = []
    for (const one of questions) results.push(await tried(sidecar, model, one))
    return results
  }
  const before = (await rightOf(AUTO)).filter(({ good }) => good).length
  const [byPractice, bySpeller] = [await rightOf('practice'), await rightOf('speller')].map(
    results => results.filter(({ good }) => good).length,
  )
  const after = await rightOf(AUTO)
  const right = after.filter(({ good }) => good).length
  assert.ok(
    right > Math.max(byPractice ?? 0, bySpeller ?? 0, before - 1),
    JSON.stringify({ before, byPractice, bySpeller, right }),
  )
  assert.equal(right, questions.length, JSON.stringify(after))
  assert.deepEqual(
    after.map(({ by }) => by),
    [...LETTERS.map(() => 'speller'), ...SUMS.map(() => 'practice')],
  )
})

suite('what one deployment learnt', () => {
  const DOSE = 'How much ibuprofen may an adult take per day?'

  test('chooses the model, refines the prompt and orders the sources at another', async () => {
    await using upstream = await modelServer([])
    const settings = {
      QIS_MODE: 'share',
      QIS_ROUTE: 'alpha-7b, beta-7b',
      QIS_ROUTE_EXPLORE: 'off',
      QIS_ROUTE_PRICE_WEIGHT: '0',
      QIS_REFINE: 'on',
      QIS_REFINE_DOMAINS: '*',
      QIS_REFINE_HOLDOUT: '0.01',
    }
    await using a = await startTestSidecar(upstream.url, { ...settings, QIS_REFINE: 'off' })
    await using b = await startTestSidecar(upstream.url, {
      ...settings,
      QIS_BOOTSTRAP: a.sidecar.router.status().addresses.join(','),
    })
    const documents = [
      { text: 'How much ibuprofen an adult may take per day, as told by others.', source: 'forum' },
      { text: 'How much ibuprofen an adult may take per day, by the package leaflet.', source: 'leaflet' },
    ]
    const first = async () => {
      const ranked = await post(b.data, { query: DOSE, documents }, { path: '/qis/rerank' })
      return ((await ranked.json()) as { results: { index: number }[] }).results[0]?.index
    }
    assert.equal((await askModel(b.data, AUTO, DOSE)).from, 'alpha-7b')
    assert.equal(await first(), 0)
    for (let time = 0; time < 8; time++) {
      const misled = await askModel(a.data, 'alpha-7b', DOSE, { 'x-qis-strategy': 'forum' })
      await rate(a.data, misled, { rating: 'down', correction: { type: 'factual' } })
      const helped = await askModel(a.data, 'beta-7b', DOSE, { 'x-qis-strategy': 'leaflet' })
      await rate(a.data, helped, { rating: 'up' })
    }
    await until('all of it to arrive', () => b.sidecar.router.status().evidence === 16, NETWORK_DEADLINE)
    assert.equal((await askModel(b.data, AUTO, DOSE)).from, 'beta-7b')
    assert.equal(await first(), 1)
    const asked = await Promise.all(Array.from({ length: 3 }, () => askModel(b.data, 'alpha-7b', DOSE)))
    assert.ok(asked.some(one => one.header('refined') === 'factual'))
  })
})
