/** Two deployments before the practice model, joined, with questions asked and rated: what a dashboard has to show. */
import assert from 'node:assert/strict'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { until } from './poll.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from './sidecar.ts'

const ASKED: readonly (readonly [domain: string, rating: 'up' | 'down', questions: readonly string[]])[] = [
  [
    'school',
    'up',
    ['What is 47 multiplied by 23?', 'What is 12 plus 5?', 'What is 144 divided by 12?', 'What is 7 times 8?'],
  ],
  [
    'clinical',
    'down',
    [
      'How much ibuprofen may an adult take per day?',
      'How much ibuprofen may an adult take per day?',
      'How much ibuprofen may an adult take per day?',
      'How much ibuprofen may an adult take per day?',
    ],
  ],
  [
    'geography',
    'up',
    [
      'What is the capital of France?',
      'What is the capital of Japan?',
      'What is the capital of Peru?',
      'What is the capital of Kenya?',
    ],
  ],
]

export interface PracticeSite extends AsyncDisposable {
  readonly site: TestSidecar
  readonly other: TestSidecar
  /** Of the last answer, which nobody rated. */
  readonly unrated: string
}

/** @param settings of the one that is looked at; both send at once what they learn */
export async function startPracticeSite(settings: Record<string, string> = {}): Promise<PracticeSite> {
  await using parts = new AsyncDisposableStack()
  const upstream = await parts.use(createPracticeModel()).listen()
  const site = parts.use(await startTestSidecar(upstream, { QIS_MODE: 'share', ...settings }))
  const QIS_BOOTSTRAP = site.sidecar.router.status().addresses.join(',')
  const other = parts.use(await startTestSidecar(upstream, { QIS_MODE: 'share', QIS_BOOTSTRAP }))
  await until('a peer', () => site.sidecar.router.status().peers.length === 1)

  const ask = async ({ data }: TestSidecar, question: string, domain: string) => {
    const answer = await chat(data, question, { 'x-qis-domain': domain })
    await answer.text()
    return answer.headers.get('x-qis-request-id') ?? ''
  }
  // Both have asked before anything is rated, so that each hears of what the other is told.
  for (const [domain, , questions] of ASKED)
    for (const where of [site, other]) await ask(where, questions[0] ?? '', domain)
  for (const [domain, rating, questions] of ASKED) {
    for (const [at, question] of questions.entries()) {
      const where = at === 0 ? other : site
      const request_id = await ask(where, question, domain)
      const correction = rating === 'down' && { correction: { type: 'factual' } }
      const taken = await postFeedback(where.data, { request_id, rating, ...correction })
      assert.equal(taken.status, 202, await taken.text())
    }
  }
  await until(
    'a packet of the other',
    async () => (await site.sidecar.router.knowledge()).places.some(({ packets }) => packets > 0),
    {
      deadlineMs: 150_000,
      everyMs: 200,
    },
  )
  await until('a departure', async () => (await site.sidecar.router.ledger({ offset: 0, limit: 1 })).length > 0, {
    deadlineMs: 150_000,
    everyMs: 200,
  })
  const unrated = await ask(site, 'What is the capital of Norway?', 'geography')
  const kept = parts.move()
  return { site, other, unrated, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
