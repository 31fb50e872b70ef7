import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { outcomes } from '../support/asking.ts'
import { askModel, modelServer, post, rate } from '../support/models.ts'
import { until } from '../support/poll.ts'
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const DOSE = 'How much ibuprofen may an adult take per day?'
const CODE = 'Write a Python function that reverses a linked list.'
const AUTO = 'qis/auto'
/** Always the best known, prices aside. */
const CERTAIN = { QIS_ROUTE: 'alpha-7b, beta-7b', QIS_ROUTE_EXPLORE: 'off', QIS_ROUTE_PRICE_WEIGHT: '0' }

/** Asks a model by its name and says how it was. */
async function teach({ data }: TestSidecar, model: string, question: string, rating: 'up' | 'down', times = 2) {
  for (let time = 0; time < times; time++) await rate(data, await askModel(data, model, question), { rating })
}

const chosen = async ({ data }: TestSidecar, question: string, model = AUTO) =>
  (await askModel(data, model, question)).from

suite('qis/auto', () => {
  test('picks, kind by kind, the model whose answers were found good', async () => {
    await using upstream = await modelServer(['alpha-7b', 'beta-7b'])
    await using sidecar = await startTestSidecar(upstream.url, CERTAIN)
    assert.equal(await chosen(sidecar, DOSE), 'alpha-7b', 'nothing is known: the default')
    await teach(sidecar, 'alpha-7b', DOSE, 'down')
    await teach(sidecar, 'alpha-7b', CODE, 'up')
    assert.equal(await chosen(sidecar, DOSE), 'beta-7b')
    assert.equal(await chosen(sidecar, 'How much ibuprofen can an adult take in a day?'), 'beta-7b', 'the same kind')
    assert.equal(await chosen(sidecar, CODE), 'alpha-7b', 'another kind')
    await teach(sidecar, 'beta-7b', DOSE, 'down', 6)
    await teach(sidecar, 'alpha-7b', DOSE, 'up', 6)
    assert.equal(await chosen(sidecar, DOSE), 'alpha-7b', 'what is learnt later turns it round')
  })

  test('tells which model answered, and in its packets that it chose', async () => {
    await using upstream = await modelServer(['alpha-7b', 'beta-7b'])
    await using sidecar = await startTestSidecar(upstream.url, CERTAIN)
    const asked = await askModel(sidecar.data, AUTO, DOSE, { 'x-qis-debug': '1' })
    assert.equal(asked.header('model'), 'alpha-7b')
    assert.equal(asked.header('route'), 'policy=default; reason=best')
    assert.match(asked.header('route-candidates') ?? '', /^alpha-7b=0\.50~0\.\d\d:0\.50, beta-7b=0\.50~0\.\d\d:0\.50$/)
    await rate(sidecar.data, asked, { rating: 'up' })
    await rate(sidecar.data, await askModel(sidecar.data, 'beta-7b', DOSE), { rating: 'up' })
    const kept = (await outcomes(sidecar)).map(({ model, intervention }) => [model, intervention])
    assert.deepEqual(kept.sort(), [
      ['alpha-7b', 1],
      ['beta-7b', 0],
    ])
  })

  test('changes the bytes of the name and none else', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, { QIS_ROUTE: 'org/alpha-7b' })
    const odd = (model: string) =>
      `{ "big":12345678901234567890,"model" :${model}, "messages":[{"role":"user","content":"Gr\\u00fc\\u00dfe 🙂 aus Zürich"}],"x":1.0 ,"x":2}\n`
    for (const written of ['"qis/auto"', '"qis\\/auto"', '"\\u0071is/auto"']) {
      const answered = await post(sidecar.data, odd(written))
      assert.equal(answered.status, 200)
      await answered.text()
      const { bytes } = (await upstream.requests.at(-1)?.body) ?? {}
      assert.equal(String(bytes), odd('"org/alpha-7b"'))
      assert.equal(
        upstream.requests.at(-1)?.headers['content-length'],
        String(Buffer.byteLength(odd('"org/alpha-7b"'))),
      )
    }
    const named = odd('"beta"')
    await (await post(sidecar.data, named)).text()
    assert.equal(String((await upstream.requests.at(-1)?.body)?.bytes), named, 'a model that is named is left alone')
  })

  test('is nothing of ours while QIS_ROUTE is unset: such a request passes as it came', async () => {
    await using upstream = await modelServer(['alpha-7b'])
    await using sidecar = await startTestSidecar(upstream.url)
    const asked = await askModel(sidecar.data, AUTO, DOSE, { 'x-qis-route-only': '1' })
    assert.equal(asked.from, AUTO)
    assert.equal(asked.header('model'), null)
  })

  test('weighs the price, by the dial', async () => {
    await using upstream = await modelServer([])
    await using folder = await tempFolder()
    const file = join(folder.path, 'policies.yaml')
    await writeFile(
      file,
      'policies:\n  careful: { price_weight: 0 }\n  tiny: { models: [beta-7b] }\ndomains:\n  clinical: careful\n',
    )
    const settings = { ...CERTAIN, QIS_ROUTE: 'beta-7b=0.1, alpha-7b=5', QIS_ROUTE_POLICIES: file }
    await using sidecar = await startTestSidecar(upstream.url, { ...settings, QIS_ROUTE_PRICE_WEIGHT: '0.9' })
    await teach(sidecar, 'alpha-7b', DOSE, 'up')
    await teach(sidecar, 'beta-7b', DOSE, 'down', 1)
    assert.equal(await chosen(sidecar, DOSE), 'beta-7b', 'the dearest has to be 0.9 better, and is not')
    assert.equal(await chosen(sidecar, DOSE, 'qis/auto:careful'), 'alpha-7b', 'a policy by its name')
    assert.equal(await chosen(sidecar, DOSE, 'qis/auto:tiny'), 'beta-7b')
    const oncology = { 'x-qis-domain': 'clinical.oncology' }
    assert.equal((await askModel(sidecar.data, AUTO, DOSE, oncology)).from, 'alpha-7b', 'a policy by the domain')
    const refused = await post(sidecar.data, { model: 'qis/auto:none', messages: [{ role: 'user', content: DOSE }] })
    assert.equal(refused.status, 422)
    const { error } = (await refused.json()) as { error: { param: string; message: string } }
    assert.equal(error.param, 'model')
    assert.match(error.message, /default, careful, tiny/)
  })

  test('stays with its model within a conversation, and not beyond', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, CERTAIN)
    const first = [{ role: 'user', content: DOSE }]
    const turn = async (messages: object[], authorization = 'Bearer a') => {
      const response = await post(
        sidecar.data,
        { model: AUTO, messages },
        { headers: { authorization, 'x-qis-debug': '1' } },
      )
      return [
        ((await response.json()) as { from: string }).from,
        response.headers.get('x-qis-route')?.split('reason=')[1],
      ]
    }
    assert.deepEqual(await turn(first), ['alpha-7b', 'best'])
    await teach(sidecar, 'alpha-7b', DOSE, 'down', 3)
    const later = [...first, { role: 'assistant', content: '7 g' }, { role: 'user', content: `Again: ${DOSE}` }]
    assert.deepEqual(await turn(later), ['alpha-7b', 'sticky'])
    assert.deepEqual(await turn(later, 'Bearer b'), ['beta-7b', 'best'], "another caller's is another")
    assert.deepEqual(await turn(first), ['beta-7b', 'best'], 'the same question anew is a new conversation')
    assert.deepEqual(await turn(later), ['beta-7b', 'sticky'])
  })

  test('answers also where there is nothing to go by', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, CERTAIN)
    const nothing = await post(sidecar.data, {
      model: AUTO,
      messages: [{ role: 'user', content: [{ type: 'image_url' }] }],
    })
    assert.equal(((await nothing.json()) as { from: string }).from, 'alpha-7b')
    const quiet = await askModel(sidecar.data, AUTO, DOSE, { 'x-qis-opt-out': '1' })
    assert.equal(quiet.from, 'alpha-7b')
    assert.equal(quiet.header('version'), null)
  })

  test('route_only says what would be chosen and why, and asks nobody', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, { ...CERTAIN, QIS_ROUTE: 'alpha-7b=1, beta-7b=3' })
    await teach(sidecar, 'alpha-7b', DOSE, 'down')
    const before = upstream.requests.length
    const messages = [{ role: 'user', content: DOSE }]
    const dry = await Promise.all([
      post(sidecar.data, { model: AUTO, messages, route_only: true }),
      post(sidecar.data, { model: AUTO, messages }, { headers: { 'x-qis-route-only': '1' } }),
    ])
    for (const response of dry) {
      assert.equal(response.status, 200)
      const { candidates, ...route } = (await response.json()) as { candidates: Record<string, unknown>[] }
      assert.deepEqual(route, {
        object: 'qis.route',
        model: 'beta-7b',
        policy: 'default',
        reason: 'best',
        domain: 'general',
      })
      const [alpha, beta] = candidates
      assert.deepEqual([alpha?.model, beta?.model, alpha?.price, beta?.price], ['alpha-7b', 'beta-7b', 1, 3])
      assert.ok(Number(alpha?.expected) < Number(beta?.expected) && alpha?.evidence !== 'none')
    }
    assert.equal(upstream.requests.length, before)
    const named = await post(sidecar.data, { model: 'alpha-7b', messages }, { headers: { 'x-qis-route-only': '1' } })
    assert.equal(named.status, 422)
    assert.equal(upstream.requests.length, before)
  })

  test('tries what is less known now and then, and keeps to the best when told so', async () => {
    await using upstream = await modelServer([])
    const spread = async (explore: string) => {
      await using sidecar = await startTestSidecar(upstream.url, { ...CERTAIN, QIS_ROUTE_EXPLORE: explore })
      const seen = new Set<string>()
      for (let asked = 0; asked < 60; asked++) seen.add(await chosen(sidecar, DOSE))
      return [...seen].sort()
    }
    assert.deepEqual(await spread('off'), ['alpha-7b'])
    assert.deepEqual(await spread('0'), ['alpha-7b', 'beta-7b'], 'by the luck of the draw')
  })

  test('takes the next best where the server of the best is away', async () => {
    const gone = await startUpstream()
    await gone[Symbol.asyncDispose]()
    await using there = await modelServer(['beta-7b'])
    const settings = { ...CERTAIN, QIS_UPSTREAM: `${gone.url} alpha-7b, ${there.url} beta-7b` }
    await using sidecar = await startTestSidecar('', settings)
    const first = await askModel(sidecar.data, AUTO, DOSE, { 'x-qis-debug': '1' })
    assert.deepEqual([first.from, first.header('model')], ['beta-7b', 'beta-7b'])
    assert.equal(first.header('route'), 'policy=default; reason=unavailable')
    await until('its absence to be known', async () =>
      ((await askModel(sidecar.data, AUTO, DOSE, { 'x-qis-debug': '1' })).header('route-candidates') ?? '').includes(
        '(away)',
      ),
    )
    await rate(sidecar.data, first, { rating: 'up' })
    assert.deepEqual(
      (await outcomes(sidecar)).map(({ model }) => model),
      ['beta-7b'],
      'feedback is on the one that answered',
    )
  })

  test('is told of on /v1/models only where that is asked for', async () => {
    await using one = await modelServer(['alpha-7b'])
    await using two = await modelServer(['beta-7b'])
    const ids = async ({ data }: TestSidecar) => {
      const body = (await (await fetch(`${data}/v1/models`)).json()) as { data: { id: string }[] }
      return body.data.map(({ id }) => id)
    }
    const listed = { ...CERTAIN, QIS_ROUTE_LIST: 'on' }
    await using silent = await startTestSidecar(one.url, CERTAIN)
    await using single = await startTestSidecar(one.url, listed)
    await using both = await startTestSidecar('', { ...listed, QIS_UPSTREAM: `${one.url}, ${two.url}` })
    assert.deepEqual(await ids(silent), ['alpha-7b'])
    assert.deepEqual(await ids(single), ['alpha-7b', AUTO])
    await until('both lists', async () => (await ids(both)).length === 3)
    assert.deepEqual(await ids(both), ['alpha-7b', 'beta-7b', AUTO])
  })

  test('counts its choices by model and reason', async () => {
    await using upstream = await modelServer([])
    await using sidecar = await startTestSidecar(upstream.url, CERTAIN)
    await chosen(sidecar, DOSE)
    const metrics = await (await fetch(`${sidecar.admin}/metrics`)).text()
    assert.match(metrics, /^qis_routed_total\{model="alpha-7b",reason="best"\} 1$/m)
  })
})

suite('a file of policies that is not as it must be stops the start', () => {
  const bad: [text: string, reason: RegExp][] = [
    ['policies: { a: { price: 1 } }', /policies\.a\.price is unknown/],
    ['policies: { a: { models: [gamma] } }', /policies\.a\.models\[0\] must be a model of QIS_ROUTE/],
    ['policies: { a: {} }\ndomains: { law: b }', /domains\.law must be the name of a policy/],
    ['policies: {}', /policies must hold 1 to 64/],
    [': :', /neither YAML nor JSON/],
  ]
  for (const [text, reason] of bad) {
    test(text, async () => {
      await using folder = await tempFolder()
      const file = join(folder.path, 'policies.yaml')
      await writeFile(file, text)
      await assert.rejects(startTestSidecar('http://127.0.0.1:1', { ...CERTAIN, QIS_ROUTE_POLICIES: file }), {
        code: 'ERR_CONFIG_INVALID',
        message: reason,
      })
    })
  }
})
