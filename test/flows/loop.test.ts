import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { findWords, readCapture } from '../../demo/leak-scan.ts'
import { type SidecarProcess, startSidecar } from '../../demo/sidecar-process.ts'
import { MINILM, missing, POTION, withoutMiniLm } from '../embeddings/shared-data.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { CHAT_BODY, startUpstream } from '../support/upstream.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'
/** One that MiniLM and the built-in embedder see nearly alike; of many others they find each other's packets and count them less. */
const SEEN_ALIKE = 'How do I reset my password?'
/** What was published to nobody is sent again after a minute. */
const NETWORK_DEADLINE = { deadlineMs: 150_000, everyMs: 50 }

/** Two deployments, each a process of its own, joined over libp2p on loopback. */
async function twoSites(settingsA: Record<string, string> = {}, settingsB: Record<string, string> = {}) {
  const parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder())
  const upstream = parts.use(await startUpstream())
  const start = async (name: string, bootstrap: readonly string[], settings: Record<string, string>) =>
    parts.use(
      await startSidecar({
        QIS_UPSTREAM: upstream.url,
        QIS_DATA: join(folder.path, name),
        QIS_CAPTURE: join(folder.path, `${name}.capture`),
        QIS_PROFILE: 'open',
        QIS_IMPLICIT: 'off',
        QIS_BOOTSTRAP: bootstrap.join(','),
        ...settings,
      }),
    )
  const a = await start('a', [], settingsA)
  const b = await start('b', a.addresses, settingsB)
  return { a, b, start, folder: folder.path, upstream, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function confidence(
  site: SidecarProcess,
  headers: Record<string, string> = {},
  question = QUESTION,
): Promise<string | null> {
  const response = await chat(site.data, question, headers)
  assert.equal(await response.text(), CHAT_BODY)
  return response.headers.get('x-qis-confidence')
}

async function vote(
  site: SidecarProcess,
  rating: string,
  headers: Record<string, string> = {},
  question = QUESTION,
): Promise<void> {
  const response = await chat(site.data, question, headers)
  await response.text()
  const feedback = await postFeedback(site.data, { receipt: response.headers.get('x-qis-receipt'), rating })
  assert.equal(feedback.status, 202)
}

async function metric(site: SidecarProcess, name: string): Promise<string | undefined> {
  return (await (await fetch(`${site.admin}/metrics`)).text()).split('\n').find(line => line.startsWith(`${name} `))
}

async function spaceId(site: SidecarProcess): Promise<string> {
  return ((await (await fetch(`${site.admin}/qis/status`)).json()) as { space: { id: string } }).space.id
}

async function meet({ a, b }: { a: SidecarProcess; b: SidecarProcess }, question = QUESTION): Promise<void> {
  assert.equal(await confidence(b, {}, question), null)
  await vote(a, 'down', {}, question)
  await until("A's vote to reach B", () => confidence(b, {}, question), NETWORK_DEADLINE)
}

suite('two deployments', () => {
  test('one told of the other’s outcome answers with a changed confidence, without being asked', async () => {
    await using sites = await twoSites()
    await meet(sites)
    assert.ok(Number(await confidence(sites.b)) < 0.5)
    // B may have fetched it by itself, and A sends it again; or B is quicker to answer than A to count
    const taken = 'qis_packets_sent_total{result="taken"}'
    await until('A to count it', async () => (await metric(sites.a, taken)) === `${taken} 1`, NETWORK_DEADLINE)
    assert.equal(
      await metric(sites.b, 'qis_packets_received_total{result="accepted"}'),
      'qis_packets_received_total{result="accepted"} 1',
    )
    for (const site of [sites.a, sites.b]) assert.equal(await metric(site, 'qis_peers'), 'qis_peers 1')
  })

  test('a newcomer is told what was said before it came', async () => {
    await using sites = await twoSites()
    await vote(sites.a, 'down')
    await until('the backfill', () => confidence(sites.b), NETWORK_DEADLINE)
  })

  test('a peer that is killed fails no request of the other', async () => {
    await using sites = await twoSites()
    await meet(sites)
    sites.a.child.kill('SIGKILL')
    for (let asked = 0; asked < 50; asked++) assert.ok(await confidence(sites.b))
    await until(
      'B to notice',
      async () =>
        ((await (await fetch(`${sites.b.admin}/qis/status`)).json()) as { peers: string[] }).peers.length === 0,
      NETWORK_DEADLINE,
    )
    await vote(sites.b, 'up')
    assert.ok(await confidence(sites.b))
  })

  test('a scan of all traffic finds a word that was planted in it, and not the question', async () => {
    await using sites = await twoSites()
    // The domain is said to peers by design, which makes it the place to plant a word.
    const planted = { 'x-qis-domain': 'zanzibar' }
    assert.equal(await confidence(sites.b, planted), null)
    await vote(sites.a, 'down', planted)
    await until("A's vote to reach B", () => confidence(sites.b, planted), NETWORK_DEADLINE)
    await sites.a[Symbol.asyncDispose]()
    await sites.b[Symbol.asyncDispose]()
    const sent = await readCapture(join(sites.folder, 'a.capture'))
    const received = await readCapture(join(sites.folder, 'b.capture'))
    for (const bytes of [sent.out, received.in]) {
      assert.deepEqual(findWords(bytes, ['zanzibar', 'ibuprofen']), [{ word: 'zanzibar', encoding: 'plain' }])
    }
  })
})

suite('two deployments with different embedders', () => {
  const minilm = { QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: MINILM, QIS_ADVICE_DEADLINE_MS: '10000' }

  for (const [who, a, b] of [
    ['the built-in one’s outcome is found by MiniLM', {}, minilm],
    ['MiniLM’s outcome is found by the built-in one', minilm, {}],
  ] as const) {
    test(`and one space: ${who}`, { skip: withoutMiniLm }, async () => {
      await using sites = await twoSites(a, b)
      assert.equal(await spaceId(sites.a), await spaceId(sites.b))
      await meet(sites, SEEN_ALIKE)
      assert.ok(Number(await confidence(sites.b, {}, SEEN_ALIKE)) < 0.5)
    })
  }

  test('and two spaces hear nothing of each other', { skip: missing(POTION) }, async () => {
    const potion = { QIS_EMBEDDER: 'transformers', QIS_EMBEDDER_MODEL: POTION, QIS_SPACE: 'potion-base-2m' }
    await using sites = await twoSites({}, { ...potion, QIS_ADVICE_DEADLINE_MS: '10000' })
    const { a, b } = sites
    const like = await sites.start('c', [...a.addresses, ...b.addresses], {})
    assert.notEqual(await spaceId(a), await spaceId(b))
    await vote(b, 'up')
    const alone = await confidence(b)
    await meet({ a, b: like })
    await until('the two spaces to be connected', async () => / [12]$/.test((await metric(b, 'qis_peers')) ?? ''))
    assert.equal(await confidence(b), alone)
    assert.equal(
      await metric(like, 'qis_packets_received_total{result="accepted"}'),
      'qis_packets_received_total{result="accepted"} 1',
    )
    const metrics = await (await fetch(`${b.admin}/metrics`)).text()
    assert.equal(metrics.match(/^qis_packets_received_total.* [1-9]/gm), null)
  })
})

test('a network that is taken away fails no request and no feedback', async () => {
  await using upstream = await startUpstream()
  await using sidecar = await startTestSidecar(upstream.url, { QIS_MODE: 'share' })
  await (await chat(sidecar.data, QUESTION)).text()
  assert.equal(sidecar.sidecar.router.status().networkUp, true)
  await sidecar.sidecar.router.stop()
  for (let asked = 0; asked < 20; asked++) {
    const response = await chat(sidecar.data, QUESTION)
    assert.equal(await response.text(), CHAT_BODY)
    const receipt = response.headers.get('x-qis-receipt')
    assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'down' })).status, 202)
  }
  assert.ok(Number((await chat(sidecar.data, QUESTION)).headers.get('x-qis-confidence')) < 0.5)
})

suite('the scanner', () => {
  const noise = Buffer.from('a1b2 nothing to see here 9f8e7d')
  const hidden: [string, Buffer][] = [
    ['plain', Buffer.from('xxIbuProfenxx')],
    ['utf16le', Buffer.from('ibuprofen', 'utf16le')],
    ['hex', Buffer.from(Buffer.from('ibuprofen').toString('hex'))],
    ...[0, 1, 2].map(offset => {
      const text = `${'x'.repeat(offset)}ibuprofen and more`
      return ['base64', Buffer.from(Buffer.from(text).toString('base64'))] as [string, Buffer]
    }),
  ]
  for (const [encoding, bytes] of hidden) {
    test(`finds a word in ${encoding}`, () => {
      assert.deepEqual(findWords(Buffer.concat([noise, bytes, noise]), ['ibuprofen']), [
        { word: 'ibuprofen', encoding },
      ])
    })
  }
  test('finds nothing where nothing is', () => assert.deepEqual(findWords(noise, ['ibuprofen']), []))
})
