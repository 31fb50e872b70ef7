import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createTrials, refineSchema } from '../../proxy/refine/trials.ts'
import { openDatabase } from '../../router/store/database.ts'
import { outcomes } from '../support/asking.ts'
import { type Asked, askModel, modelServer, post, rate } from '../support/models.ts'
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const DOSE = 'How much ibuprofen may an adult take per day?'
const CODE = 'Write a Python function that reverses a linked list.'
const ON = { QIS_REFINE: 'on', QIS_REFINE_DOMAINS: 'general, clinical', QIS_REFINE_HOLDOUT: '0.01' }
const FACTS = /had wrong facts in them/

async function correct({ data }: TestSidecar, question: string, type: string, headers = {}, times = 5) {
  for (let time = 0; time < times; time++) {
    await rate(data, await askModel(data, 'm', question, headers), { rating: 'down', correction: { type } })
  }
}

const systemOf = ({ sent }: Asked) =>
  (sent.messages as { role: string; content: string }[]).find(({ role }) => role === 'system')?.content

/** One in a hundred is held back, so that one of three surely is not. */
async function refined({ data }: TestSidecar, question: string, headers = {}): Promise<Asked | undefined> {
  for (let time = 0; time < 3; time++) {
    const asked = await askModel(data, 'm', question, headers)
    if (asked.header('refined') !== null) return asked
    assert.equal(systemOf(asked), undefined)
  }
  return undefined
}

async function metric({ admin }: TestSidecar, line: RegExp): Promise<number | undefined> {
  const text = await (await fetch(`${admin}/metrics`)).text()
  const value = line.exec(text)?.[1]
  return value === undefined ? undefined : Number(value)
}

suite('prompt refinement', () => {
  test('while it is off not a byte differs, whatever corrections there are', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url)
    await correct(sidecar, DOSE, 'factual')
    const body = `{"model":"m" , "messages":[{"role":"user","content":"${DOSE}"}],"big":12345678901234567890}\n`
    const answered = await post(sidecar.data, body)
    await answered.text()
    assert.equal(String((await upstream.requests.at(-1)?.body)?.bytes), body)
    assert.equal(answered.headers.get('x-qis-refined'), null)
  })

  test('appears where corrections of one type are frequent, for that kind of question and in those domains', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, ON)
    assert.equal(await refined(sidecar, DOSE), undefined, 'nothing is known')
    await correct(sidecar, DOSE, 'factual')
    const asked = await refined(sidecar, DOSE)
    assert.ok(asked)
    assert.equal(asked.header('refined'), 'factual')
    assert.match(systemOf(asked) ?? '', FACTS)
    assert.equal(await refined(sidecar, CODE), undefined, 'another kind of question')
    assert.equal(await refined(sidecar, DOSE, { 'x-qis-domain': 'law' }), undefined, 'a domain that is not on the list')
    await correct(sidecar, DOSE, 'factual', { 'x-qis-domain': 'clinical.oncology' }, 3)
    assert.ok(await refined(sidecar, DOSE, { 'x-qis-domain': 'clinical.oncology' }), 'below one that is')
    await rate(sidecar.data, asked, { rating: 'up' })
    const kept = (await outcomes(sidecar)).map(({ intervention, signal }) => `${intervention} ${signal}`)
    assert.ok(kept.includes('2 1') && kept.includes('0 0') && !kept.includes('0 1'), 'its packet says so')
  })

  test('goes with qis/auto, into streams, and into Anthropic\u2019s messages; not where advice is not wanted', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, { ...ON, QIS_ROUTE: 'm' })
    await correct(sidecar, DOSE, 'factual')
    const messages = [{ role: 'user', content: DOSE }]
    const sent = async (path: string, headers = {}) => {
      for (let time = 0; time < 3; time++) {
        const response = await post(sidecar.data, { model: 'qis/auto', stream: true, messages }, { path, headers })
        await response.text()
        if (response.headers.get('x-qis-refined') !== 'factual') continue
        assert.equal(response.headers.get('x-qis-model'), 'm')
        return JSON.parse(String((await upstream.requests.at(-1)?.body)?.bytes)) as Record<string, unknown>
      }
      return undefined
    }
    const chat = await sent('/v1/chat/completions')
    assert.deepEqual([chat?.model, chat?.stream, (chat?.messages as object[] | undefined)?.length], ['m', true, 2])
    const anthropic = await sent('/v1/messages')
    assert.deepEqual([anthropic?.model, anthropic?.messages], ['m', messages])
    assert.match(String(anthropic?.system), FACTS)
    assert.equal(await sent('/v1/chat/completions', { 'x-qis-opt-out': '1' }), undefined)
    assert.equal(await sent('/v1/responses'), undefined, 'there is no place for it')
  })

  test('follows the type of the corrections, by templates of our own', async () => {
    await using upstream = await modelServer([])
    await using folder = await tempFolder()
    const file = join(folder.path, 'templates.yaml')
    await writeFile(file, 'format: Answer in one line.\n')
    await using sidecar = await startTestSidecar(upstream.url, { ...ON, QIS_REFINE_TEMPLATES: file })
    await correct(sidecar, CODE, 'format')
    const asked = await refined(sidecar, CODE)
    assert.deepEqual([asked?.header('refined'), asked && systemOf(asked)], ['format', 'Answer in one line.'])
    await correct(sidecar, DOSE, 'factual')
    assert.match(systemOf((await refined(sidecar, DOSE)) as Asked) ?? '', FACTS, 'the others stay as they are')
  })

  test('QIS_REFINE_THRESHOLD says how frequent they must be', async () => {
    await using upstream = await modelServer([])
    await using strict = await startTestSidecar(upstream.url, { ...ON, QIS_REFINE_THRESHOLD: '0.9' })
    await correct(strict, DOSE, 'factual')
    assert.equal(await refined(strict, DOSE), undefined)
  })

  test('holds some back, and gives itself up where it does not help; a restart does not forget', async () => {
    await using upstream = await modelServer([])
    await using folder = await tempFolder()
    const settings = { ...ON, QIS_REFINE_HOLDOUT: '0.5', QIS_REFINE_THRESHOLD: '0.01', QIS_DATA: folder.path }
    const on = /^qis_refine_on\{type="factual",domain="general"\} (\d)$/m
    {
      await using sidecar = await startTestSidecar(upstream.url, settings)
      await correct(sidecar, DOSE, 'factual', {}, 3)
      const seen = { refined: 0, held: 0 }
      for (let asked = 0; asked < 200; asked++) {
        const answer = await askModel(sidecar.data, 'm', DOSE, { 'x-qis-debug': '1' })
        const arm = answer.header('refined') ? 'refined' : answer.header('refined-not') ? 'held' : undefined
        if (!arm) break
        seen[arm]++
        await rate(sidecar.data, answer, { rating: arm === 'refined' ? 'down' : 'up' })
      }
      assert.ok(seen.refined >= 7 && seen.held >= 7, JSON.stringify(seen))
      assert.ok(seen.refined + seen.held < 60, `soon enough: ${JSON.stringify(seen)}`)
      assert.equal(await metric(sidecar, on), 0)
      const effect = await metric(sidecar, /^qis_refine_effect\{type="factual",domain="general"\} (\S+)$/m)
      assert.ok(effect !== undefined && effect < -0.5)
      assert.ok(((await metric(sidecar, /^qis_refine_total\{type="factual",arm="held"\} (\d+)$/m)) ?? 0) >= seen.held)
    }
    await using again = await startTestSidecar(upstream.url, settings)
    assert.equal(await metric(again, on), 0)
    assert.equal(await refined(again, DOSE), undefined)
    await correct(again, DOSE, 'reasoning', {}, 6)
    const answers = await Promise.all(Array.from({ length: 20 }, () => askModel(again.data, 'm', DOSE)))
    assert.ok(
      answers.some(answer => answer.header('refined') === 'reasoning'),
      'another type is tried on its own',
    )
  })

  test('keeps on where it helps', async () => {
    await using upstream = await modelServer([])
    const settings = { ...ON, QIS_REFINE_HOLDOUT: '0.5', QIS_REFINE_THRESHOLD: '0.01' }
    await using sidecar = await startTestSidecar(upstream.url, settings)
    await correct(sidecar, DOSE, 'factual', {}, 3)
    for (let asked = 0; asked < 60; asked++) {
      const answer = await askModel(sidecar.data, 'm', DOSE)
      await rate(sidecar.data, answer, { rating: answer.header('refined') ? 'up' : 'down' })
    }
    assert.equal(await metric(sidecar, /^qis_refine_on\{type="factual",domain="general"\} (\d)$/m), 1)
  })

  test('needs to be told where it may act, and templates that can be read', async () => {
    await assert.rejects(startTestSidecar('http://127.0.0.1:1', { QIS_REFINE: 'on' }), /QIS_REFINE_DOMAINS must name/)
    await using folder = await tempFolder()
    const file = join(folder.path, 'templates.yaml')
    for (const text of ['style: be nice', 'format: 7', '[]']) {
      await writeFile(file, text)
      await assert.rejects(startTestSidecar('http://127.0.0.1:1', { ...ON, QIS_REFINE_TEMPLATES: file }), {
        code: 'ERR_CONFIG_INVALID',
        message: /QIS_REFINE_TEMPLATES: .*(style is unknown|format must be an instruction|it must hold)/,
      })
    }
  })
})

suite('a trial', () => {
  const answer = { requestId: 'qis-1', domain: 'general', trial: { type: 'factual', treated: true } } as const
  const onError = (error: unknown) => assert.fail(String(error))

  test('counts each answer once, as it stands now', async () => {
    await using database = await openDatabase({ file: ':memory:', schemas: [refineSchema] })
    using trials = createTrials({ database, onError })
    for (const [signal, n, good] of [
      [1, 1, 1],
      [1, 1, 1],
      [0.25, 1, 0.25],
      [undefined, 0, 0],
      [undefined, 0, 0],
    ] as const) {
      await trials.judged(answer, signal)
      assert.deepEqual(trials.of('factual', 'general')?.treated, { n, good })
      using later = createTrials({ database, onError })
      await later.start()
      assert.deepEqual(later.of('factual', 'general')?.treated, { n, good }, 'a restart agrees')
    }
    assert.deepEqual(trials.of('factual', 'general')?.held, { n: 0, good: 0 })
  })

  test('forgets with time, and there are never too many', async () => {
    await using database = await openDatabase({ file: ':memory:', schemas: [refineSchema] })
    let now = 1_000_000_000
    using trials = createTrials(
      { database, onError, clock: () => now * 1000 },
      { lifetimeS: 100, maxTrials: 1, maxRows: 2 },
    )
    for (const requestId of ['a', 'b', 'c']) await trials.judged({ ...answer, requestId }, 1)
    await trials.start()
    assert.equal(trials.of('factual', 'general')?.treated.n, 2)
    assert.equal(trials.of('factual', 'law'), undefined)
    now += 101
    await trials.start()
    assert.equal(trials.of('factual', 'general')?.treated.n, 0)
  })
})
