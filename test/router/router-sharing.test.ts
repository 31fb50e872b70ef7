import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type DisclosureProfile, profiles } from '../../router/disclosure.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import type { Network } from '../../router/network/network.ts'
import type { Observer } from '../../router/outcome.ts'
import { sealPacket } from '../../router/packet.ts'
import { unbiased } from '../../router/randomised-response.ts'
import { FLIGHT, LINKED_LIST, MODEL, type RouterNode, startNode, TRAIN } from '../support/router-node.ts'
import { NOW, temporaryFolder, until } from '../support/router-support.ts'

const ALL = { offset: 0, limit: 100 }
const noisy: DisclosureProfile = { ...profiles.open, epsilon: 2 }

async function said(node: RouterNode): Promise<Record<string, unknown>[]> {
  return (await node.router.ledger(ALL))
    .toReversed()
    .map(({ payload }) => JSON.parse(payload) as Record<string, unknown>)
}

describe('a noisy rating', () => {
  it('leaves as one bit, once, whatever is said of the answer afterwards', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: noisy })
    const say = (signal: number) => a.learn(TRAIN, { requestId: 'x', signal, confidence: 0.9, strategy: 'cot' })
    assert.equal(await say(1), 'recorded')
    await until(() => a.sent.length === 1, 'it left')
    for (const signal of [0, 1, 0.5, 0]) assert.equal(await say(signal), 'updated')
    await a.learn(LINKED_LIST)
    await until(() => a.sent.length === 2, 'the next left')
    const [first, second, ...more] = await said(a)
    assert.deepEqual(more, [])
    assert.ok(first?.os === 0 || first?.os === 1)
    assert.deepEqual([first.ep, first.rv, first.ci, first.st, first.ca], [2, 0, undefined, undefined, undefined])
    assert.notEqual(second?.n, first.n)
    assert.ok((await a.ask(TRAIN)).confidence < 0.5, 'here the last word counts, in clear')
    assert.equal(a.withheld, 0, 'what has been said already is not withheld')
  })

  it('leaves once for its answer, whoever speaks of it, and nothing tells who else did', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: noisy })
    const say = (requestId: string, observer: Observer, signal: number) =>
      a.learn(TRAIN, { requestId, observer, signal })
    // A rule found fault with the first, an evaluator judged the second before a person did; of the third, only a person spoke.
    await say('ruled', 'i', 0)
    await say('judged', 'e', 0)
    await until(() => a.sent.length === 1, 'the evaluator was heard')
    for (const requestId of ['ruled', 'judged', 'alone']) await say(requestId, 'h', 0)
    await until(() => a.sent.length === 3, 'the others left')
    const [judged, ...others] = await said(a)
    assert.equal(judged?.ob, 'e')
    assert.deepEqual(
      others.map(({ ob, rv }) => [ob, rv]),
      [
        ['h', 0],
        ['h', 0],
      ],
    )
    assert.equal(new Set([judged, ...others].map(one => one?.n)).size, 3)
    assert.deepEqual(a.withheldFor, ['guess'])
  })

  it('is taken back though others speak of its answer before the withdrawal leaves, and stays so', async () => {
    const clock = { now: NOW }
    await using a = await startNode(createMemorySwarm(), {
      clock,
      profile: { ...noisy, delayMeanS: 600, delayCapS: 600 },
    })
    await a.learn(TRAIN, { requestId: 'x' })
    const [{ answer = '' } = {}] = await a.store.outcomes(0, 1)
    const first = await a.store.waiting(answer)
    assert.ok(first)
    const { key, packet } = first
    const bytes = await sealPacket(packet, a.identity.privateKey)
    await a.store.departed({ key, packet, bytes, author: a.identity.id }, clock.now, 'x')
    await a.store.delivered(packet, 1, clock.now)
    assert.equal(await a.store.waiting(answer), undefined)
    await a.router.withdraw('x')
    const withdrawal = await a.store.waiting(answer)
    assert.deepEqual([withdrawal?.packet.withdrawn, withdrawal?.packet.revision], [true, 1])
    for (const observer of ['i', 'e', 'h'] as const) {
      await a.learn(TRAIN, { requestId: 'x', observer, signal: 0 })
      assert.deepEqual(await a.store.waiting(answer), withdrawal)
    }
  })

  it('that reached nobody goes on waiting for somebody when minds change', async () => {
    const swarm = createMemorySwarm()
    const clock = { now: NOW }
    await using a = await startNode(swarm, { profile: noisy, clock })
    await a.learn(TRAIN, { requestId: 'x', signal: 1 })
    await until(() => a.sent.length === 1, 'it left for nobody')
    assert.equal(a.sent[0]?.recipients, 0)
    assert.equal(await a.learn(TRAIN, { requestId: 'x', signal: 0 }), 'updated')
    await using b = await startNode(swarm, { clock })
    await b.ask(TRAIN)
    clock.now += 60
    // Any other makes the outbox look again.
    await a.learn(LINKED_LIST)
    await until(() => b.accepted.length === 1, 'it came')
    await until(() => a.sent.length === 3, 'the other has left as well')
    assert.equal((await said(a)).length, 2)
  })

  it('has the same bit when it is said anew by a node that has lost its database', async () => {
    await using folder = await temporaryFolder()
    const identityFile = folder.path('identity.key')
    const bits: Record<string, unknown>[][] = []
    for (let start = 0; start < 2; start++) {
      await using node = await startNode(createMemorySwarm(), { profile: noisy, identityFile })
      for (let count = 0; count < 40; count++) await node.learn(TRAIN, { requestId: `${count}`, signal: 0.5 })
      await until(() => node.sent.length === 40, 'all left')
      bits.push((await said(node)).map(({ n, os }) => ({ n, os })))
    }
    assert.deepEqual(bits[0], bits[1])
    assert.equal(new Set(bits[0]?.map(({ os }) => os)).size, 2, 'some are 0 and some are 1')
  })

  it('is taken back by a packet that tells nothing but that', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: noisy })
    await using b = await startNode(swarm)
    await b.ask(FLIGHT)
    await a.learn(TRAIN, { requestId: 'x' })
    await until(() => b.accepted.length === 1, 'it came')
    assert.equal((await b.ask(FLIGHT)).packets, 1)
    assert.ok(await a.router.withdraw('x'))
    await until(() => b.accepted.length === 2, 'its withdrawal came')
    assert.equal((await b.ask(FLIGHT)).packets, 0)
    const taken = (await said(a))[1]
    assert.deepEqual([taken?.op, taken?.os], [1, 0])
  })

  it('is read by its receivers without bias', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: noisy })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    for (let count = 0; count < 60; count++) await a.learn(TRAIN, { requestId: `${count}` })
    await until(() => b.accepted.length === 60, 'they came')
    const bits = (await said(a)).map(({ os }) => os as number)
    const mean = bits.reduce((sum, bit) => sum + unbiased(bit, 2), 0) / bits.length
    assert.ok(bits.includes(0) && Math.abs(mean - 1) < 0.2, 'some lie, and the mean does not')
    const { adjustment, peers } = await b.ask(TRAIN)
    assert.equal(peers, 1)
    assert.ok(adjustment > 0.09)
  })
})

describe('a domain that stays here', () => {
  for (const [words, domains] of [
    ['is not among those that are shared', { only: ['legal'] }],
    ['is private', { never: ['clinical'] }],
  ] as const) {
    it(`${words}: no packet of it leaves, and nobody hears that it is asked about`, async () => {
      await using a = await startNode(createMemorySwarm(), { domains })
      await a.ask(TRAIN, { domain: 'clinical.oncology' })
      assert.equal(a.router.status().keys, 0)
      await a.ask(TRAIN, { domain: 'legal' })
      assert.equal(a.router.status().keys, 11)
      await a.learn(TRAIN, { domain: 'clinical.oncology' })
      assert.deepEqual(a.withheldFor, ['domain'])
      assert.notEqual((await a.ask(TRAIN, { domain: 'clinical.oncology' })).grade, 'none', 'but it counts here')
      await a.learn(TRAIN, { domain: 'legal' })
      await until(() => a.sent.length === 1, 'the other left')
    })
  }
})

describe('settings that became stricter', () => {
  it('hold back what was waiting, and what was handed out to whoever asked', async () => {
    await using folder = await temporaryFolder()
    const kept = { file: folder.path('qis.db'), identityFile: folder.path('identity.key') }
    const clock = { now: NOW }
    {
      await using a = await startNode(createMemorySwarm(), {
        ...kept,
        clock,
        profile: { ...profiles.open, delayMeanS: 9, delayCapS: 9 },
      })
      await a.learn(TRAIN, { requestId: 'waits' })
      assert.equal((await a.store.due(NOW + 9, 9)).length, 1)
    }
    clock.now += 10
    {
      await using a = await startNode(createMemorySwarm(), { ...kept, clock, domains: { never: ['general'] } })
      await until(async () => (await a.store.due(NOW + 1e6, 9)).length === 0, 'it is given up')
      assert.deepEqual(a.withheldFor, ['settings'])
      assert.deepEqual(await a.router.ledger(ALL), [])
    }
    {
      await using a = await startNode(createMemorySwarm(), { ...kept, clock })
      await a.learn(TRAIN, { requestId: 'left' })
      await until(() => a.sent.length === 1, 'it left')
    }
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { ...kept, clock, profile: { ...profiles.standard, delayMeanS: 0 } })
    const [line] = await a.router.ledger(ALL)
    assert.ok(line)
    assert.deepEqual(await a.handlers().list(line.key, ALL), [])
    assert.equal((await a.ask(TRAIN)).grade, 'moderate', 'but it counts here')
  })
})

describe('the daily cap', () => {
  it('lets so many packets about one kind of question leave in 24 hours, and the rest when its time comes', async () => {
    const swarm = createMemorySwarm()
    const clock = { now: NOW }
    await using a = await startNode(swarm, { clock, profile: { ...profiles.open, dailyCap: 2 } })
    await using b = await startNode(swarm, { clock })
    for (const text of [TRAIN, LINKED_LIST]) await b.ask(text)
    for (let count = 0; count < 5; count++) await a.learn(TRAIN, { requestId: `${count}` })
    await a.learn(LINKED_LIST)
    await until(() => a.deferred === 3 && b.accepted.length === 3, 'two came, and one of another kind')
    assert.ok(await a.router.withdraw('0'))
    await until(() => b.accepted.length === 4, 'what takes back does not wait')
    clock.now = NOW + 24 * 3600 - 1
    await a.learn(LINKED_LIST)
    await until(() => b.accepted.length === 5, 'the outbox was looked at')
    clock.now = NOW + 24 * 3600
    await a.learn(LINKED_LIST)
    await until(() => b.accepted.length === 8 && a.deferred === 4, 'two more came, and the last waits another day')
  })

  it('does not keep a packet that nobody took from being offered again', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: { ...profiles.open, dailyCap: 1 } })
    await a.learn(TRAIN)
    await until(() => a.sent.length === 1, 'it left')
    a.clock.now += 30
    await a.learn(LINKED_LIST)
    await until(() => a.sent.length === 3, 'it was offered again')
    assert.equal(a.deferred, 0)
  })
})

describe('interest in whole domains', () => {
  it('joins all of them once, so that questions show in nothing that others see', async () => {
    const calls: string[] = []
    const noting = (network: Network): Network => ({
      ...network,
      join(key) {
        calls.push(`join ${key}`)
        network.join(key)
      },
      leave(key) {
        calls.push('leave')
        network.leave(key)
      },
      backfill(...args) {
        calls.push('backfill')
        return network.backfill(...args)
      },
    })
    await using a = await startNode(createMemorySwarm(), {
      interest: 'domain',
      domains: { only: ['general', 'clinical.oncology', 'clinical.cardiology'] },
      wrap: noting,
    })
    assert.equal(calls.length, 512)
    assert.equal(new Set(calls).size, 512)
    assert.equal(a.router.status().keys, 512)
    for (const domain of ['general', 'clinical', 'legal']) {
      for (const text of [TRAIN, LINKED_LIST]) await a.ask(text, { domain })
    }
    assert.equal(calls.length, 512)
  })

  it('is that of the clinical profile, and hears what is said there', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm, { profile: profiles.clinical })
    assert.equal(b.router.status().keys, 256)
    await a.learn(TRAIN)
    await until(() => b.accepted.length === 1, 'it came without being asked for')
    assert.equal((await b.ask(FLIGHT)).packets, 1)
  })
})

describe('labels that a site has not declared', () => {
  const strict: DisclosureProfile = { ...profiles.standard, k: 1, delayMeanS: 0, delayCapS: 0 }
  const declared = (...domains: string[]) => ({
    domain: (name: string) => domains.includes(name),
    strategy: () => false,
    model: (variant: string) => (variant === MODEL ? variant : undefined),
  })

  it('are in no packet of the ledger, and sites that ask under their own still meet', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: strict, declared: declared() })
    await using b = await startNode(swarm, { profile: strict, declared: declared() })
    const asB = { domain: 'other.jane' }
    await b.ask(TRAIN, asB)
    await a.learn(TRAIN, { domain: 'patient-john-4711', strategy: 'ward-7' })
    await until(() => b.accepted.length === 1, 'it came')
    const [packet, ...more] = await said(a)
    assert.deepEqual([packet?.d, packet?.mv, packet?.st, more.length], ['general', MODEL, undefined, 0])
    assert.equal((await a.store.outcomes(0, 1))[0]?.domain, 'patient-john-4711', 'here it keeps its own label')
    assert.ok((await b.ask(TRAIN, asB)).packets > 0, 'and counts there')
  })

  it('are not listened for either', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: strict, declared: declared('acme') })
    const keys = async (domain: string) => {
      await a.ask(TRAIN, { domain })
      return a.router.status().keys
    }
    const general = await keys('general')
    assert.equal(await keys('patient-john-4711'), general, 'no topic of their own')
    assert.ok((await keys('acme.john')) > general, 'what is declared has')
  })

  it('leave no packet where they name a model that no server has', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: strict, declared: declared() })
    await a.learn(TRAIN, { model: 'john.doe' })
    assert.deepEqual(a.withheldFor, ['model'])
    assert.equal((await a.ask(TRAIN, { model: 'john.doe' })).grade === 'none', false, 'here it counts')
  })
})
