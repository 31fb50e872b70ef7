import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type Embedder, EmbedderError } from '../../embeddings/embedder.ts'
import { createStaticEmbedder, embedText } from '../../embeddings/static.ts'
import { createExamples } from '../../proxy/domain/examples.ts'
import type { DomainRules } from '../../proxy/domain/rules.ts'
import { createDomains, type DomainSource } from '../../proxy/domain.ts'
import { until } from '../support/poll.ts'
import { shippedSpace } from '../support/router-support.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const { mean } = await shippedSpace()

const EXAMPLES = {
  cooking: [
    'How long do I boil an egg?',
    'How long must I boil potatoes?',
    'At what heat do I bake bread in the oven?',
    'How do I bake a cake in the oven?',
  ],
  travel: [
    'Which train goes to Vienna tomorrow?',
    'When does the next train to Rome leave?',
    'How do I book a flight to Lisbon?',
    'Can I change the date of my flight?',
  ],
}
const LIKE_COOKING = 'How long do I boil an egg in the oven?'
const UNLIKE = 'Der Vertrag wurde gestern gekündigt'

const rules: DomainRules = {
  domains: {
    cooking: { examples: EXAMPLES.cooking, paths: ['/kitchen', '/'] },
    travel: { examples: EXAMPLES.travel },
    'travel.rail': { paths: ['/kitchen/train/'], keys_sha256: [sha256('rail-key').toUpperCase()] },
  },
}
const { cooking, travel } = EXAMPLES
const byExamples: DomainRules = { domains: { cooking: { examples: cooking }, travel: { examples: travel } } }

const quiet = { debug() {}, info() {}, warn() {} }

async function domainsOf(given: DomainRules | undefined) {
  const counted: [string, DomainSource][] = []
  const domains = await createDomains(
    {
      embedder: createStaticEmbedder(),
      mean,
      logger: quiet,
      onFound: (label, source) => void counted.push([label, source]),
    },
    given,
  )
  const of = (
    text: string,
    {
      said,
      url = '/v1/chat/completions',
      headers = {},
    }: { said?: string; url?: string; headers?: IncomingHttpHeaders } = {},
  ) => domains.of({ said, url, headers }, embedText(text))
  return { domains, of, counted }
}

suite('the domain of a question', () => {
  test('is what the client says, before any rule, and then nothing is compared', async () => {
    const { of } = await domainsOf(rules)
    const headers = { authorization: 'Bearer rail-key' }
    assert.deepEqual(of(LIKE_COOKING, { said: 'law', url: '/kitchen/v1', headers }), { name: 'law', source: 'client' })
    const inferred = await domainsOf(byExamples)
    assert.equal(inferred.of(LIKE_COOKING).source, 'examples')
    assert.deepEqual(inferred.of(LIKE_COOKING, { said: 'travel' }), { name: 'travel', source: 'client' })
  })

  test('is told by the API key before the path, whichever header shows it', async () => {
    const { of } = await domainsOf(rules)
    for (const headers of [
      { authorization: 'Bearer rail-key' },
      { authorization: 'bearer  rail-key ' },
      { 'x-api-key': 'rail-key' },
      { 'api-key': 'rail-key' },
    ]) {
      assert.deepEqual(of(LIKE_COOKING, { url: '/kitchen', headers }), { name: 'travel.rail', source: 'key' })
    }
    for (const headers of [
      { authorization: 'Bearer rail-kez' },
      { authorization: 'rail-key' },
      { authorization: `Bearer ${sha256('rail-key')}` },
      { authorization: 'Basic cmFpbC1rZXk=' },
      { 'x-api-key': '' },
    ]) {
      assert.equal(of(LIKE_COOKING, { url: '/kitchen', headers }).source, 'path')
    }
  })

  test('is told by the longest path that fits, label by label, before the examples', async () => {
    const { of } = await domainsOf(rules)
    const at = (url: string) => of('Which train goes to Rome?', { url }).name
    assert.deepEqual(
      ['/kitchen', '/kitchen/v1', '/kitchen?a=/kitchen/train', '/other'].map(at),
      Array(4).fill('cooking'),
    )
    assert.deepEqual(['/kitchen/train', '/kitchen/train/v1', '/kitchen/train?x'].map(at), Array(3).fill('travel.rail'))
    assert.deepEqual(['/kitchen/trains', '/kitchen/tra'].map(at), Array(2).fill('cooking'))
    const only = await domainsOf({ domains: { cooking: { paths: ['/kitchen'] } } })
    assert.deepEqual(only.of('x', { url: '/kitchenette' }), { name: 'general', source: 'default', nearest: undefined })
  })

  test('is told by the nearest examples, if they are near enough, and else is general', async () => {
    const { of } = await domainsOf(byExamples)
    const like = of(LIKE_COOKING)
    assert.deepEqual([like.name, like.source, like.nearest?.name], ['cooking', 'examples', 'cooking'])
    assert.equal(of('When does the train to Lisbon leave tomorrow?').name, 'travel')
    const unlike = of(UNLIKE)
    assert.deepEqual([unlike.name, unlike.source], ['general', 'default'])
    assert.ok(unlike.nearest && unlike.nearest.similarity < unlike.nearest.threshold)
  })

  test('by examples is a cosine from the mean of the space', async () => {
    const { of } = await domainsOf({ domains: { cooking: { examples: ['boil an egg'] } } })
    const from = (text: string) => embedText(text).map((component, i) => component - (mean[i] ?? 0))
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0)
    const [a, b] = [from('boil an egg'), from(LIKE_COOKING)]
    const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
    assert.ok(Math.abs((of(LIKE_COOKING).nearest?.similarity ?? 0) - cosine) < 1e-6)
    assert.ok(Math.abs((of('boil an egg').nearest?.similarity ?? 0) - 1) < 1e-6)
  })

  test('needs the threshold of the file, where it has one', async () => {
    const near = (await domainsOf(byExamples)).of(LIKE_COOKING).nearest?.similarity ?? Number.NaN
    const [below, above] = await Promise.all(
      [near - 0.01, near + 0.01].map(threshold => domainsOf({ ...byExamples, threshold })),
    )
    assert.equal(below?.of(LIKE_COOKING).name, 'cooking')
    assert.deepEqual(below?.of(UNLIKE).name, 'general')
    assert.equal(above?.of(LIKE_COOKING).name, 'general')
    assert.equal(above?.of(LIKE_COOKING).nearest?.threshold, near + 0.01)
  })

  test('needs one half where no two examples could say what is near', async () => {
    const { of } = await domainsOf({ domains: { cooking: { examples: ['boil an egg'] } } })
    assert.equal(of(UNLIKE).nearest?.threshold, 0.5)
    assert.deepEqual([of('boil an egg').name, of(UNLIKE).name], ['cooking', 'general'])
  })

  test('is general where nothing is configured and nothing said', async () => {
    const { of } = await domainsOf(undefined)
    assert.deepEqual(of(LIKE_COOKING), { name: 'general', source: 'default', nearest: undefined })
  })

  test('is counted by its source, and under no name that clients have made up', async () => {
    const { of, counted } = await domainsOf(byExamples)
    for (const said of ['made.up', 'travel', 'general']) of(LIKE_COOKING, { said })
    of(LIKE_COOKING)
    of(UNLIKE)
    assert.deepEqual(counted, [
      ['other', 'client'],
      ['travel', 'client'],
      ['general', 'client'],
      ['cooking', 'examples'],
      ['general', 'default'],
    ])
  })
})

suite('examples for an embedder that takes its time', () => {
  /** Answers when the test says so. */
  function slow() {
    let answer = Promise.withResolvers<void>()
    const embedder: Embedder = {
      ...createStaticEmbedder(),
      inline: false,
      async embed(texts, { signal } = {}) {
        await Promise.race([
          answer.promise,
          new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true })),
        ])
        return texts.map(text => embedText(text))
      },
    }
    return {
      embedder,
      allow: () => answer.resolve(),
      refuse() {
        answer.reject(new EmbedderError('ERR_EMBEDDER_UNAVAILABLE', 'gone'))
        answer = Promise.withResolvers()
      },
    }
  }

  test('are embedded in the background, while rules work already', async () => {
    const { embedder, allow } = slow()
    const given = { domains: { ...byExamples.domains, law: { paths: ['/law'] } } }
    await using domains = await createDomains({ embedder, mean, logger: quiet }, given)
    const at = (url: string) => domains.of({ said: undefined, url, headers: {} }, embedText(LIKE_COOKING))
    assert.deepEqual([at('/law').name, at('/').name, at('/').nearest], ['law', 'general', undefined])
    allow()
    await until('the examples to be known', () => at('/').name === 'cooking')
    assert.equal(at('/law').name, 'law')
  })

  test('are tried again when it could not be had', async () => {
    const { embedder, allow, refuse } = slow()
    const warnings: string[] = []
    const logger = { ...quiet, warn: (_details: unknown, message = '') => void warnings.push(message) }
    await using examples = await createExamples(
      { embedder, mean, logger },
      { phrases: new Map(Object.entries(EXAMPLES)), threshold: undefined, retryMs: 1 },
    )
    refuse()
    await until('the failure to be told of', () => warnings.length > 0)
    allow()
    await until('the examples to be known', () => examples.nearest(embedText(LIKE_COOKING))?.name === 'cooking')
    assert.deepEqual(warnings, ['the examples of domains could not be embedded'])
  })

  test('are given up when the sidecar stops', async () => {
    const { embedder } = slow()
    const domains = await createDomains({ embedder, mean, logger: quiet }, byExamples)
    await domains[Symbol.asyncDispose]()
  })
})

test('QIS_DOMAINS gives requests a domain that goes into look-up, receipt and outcome, and debug headers say how', async () => {
  await using folder = await tempFolder()
  const file = join(folder.path, 'domains.json')
  await writeFile(file, JSON.stringify(byExamples))
  await using upstream = await startUpstream()
  await using sidecar = await startTestSidecar(upstream.url, { QIS_DOMAINS: file })
  const ask = (headers = {}) => chat(sidecar.data, LIKE_COOKING, { 'x-qis-debug': '1', ...headers })
  const told = (answer: Response) => ['x-qis-domain', 'x-qis-domain-source'].map(name => answer.headers.get(name))

  const [inferred, tagged] = [await ask(), await ask({ 'x-qis-domain': 'law' })]
  assert.deepEqual(told(inferred), ['cooking', 'examples'])
  assert.match(inferred.headers.get('x-qis-domain-nearest') ?? '', /^cooking; similarity=0\.\d{3}; threshold=0\.\d{3}$/)
  assert.deepEqual(told(tagged), ['law', 'client'])
  assert.equal(tagged.headers.get('x-qis-domain-nearest'), null)
  assert.equal((await chat(sidecar.data, LIKE_COOKING)).headers.get('x-qis-domain'), null)

  const receipt = inferred.headers.get('x-qis-receipt')
  assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'down' })).status, 202)
  const expected = async (headers = {}) => Number((await ask(headers)).headers.get('x-qis-confidence') ?? Number.NaN)
  const [same, other] = [await expected({ 'x-qis-domain': 'cooking' }), await expected({ 'x-qis-domain': 'law' })]
  assert.ok(same < 0.5, 'the outcome was learnt where the header says cooking')
  assert.ok(!(other <= same), 'and counts less where the header says another')

  const metrics = await (await fetch(`${sidecar.admin}/metrics`)).text()
  assert.match(metrics, /^qis_domains_total\{domain="cooking",source="examples"\} 2$/m)
  assert.match(metrics, /^qis_domains_total\{domain="other",source="client"\} 2$/m)
})
