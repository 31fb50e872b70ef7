import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { createMemorySwarm } from '../../router/network/memory.ts'
import type { Report } from '../../router/router.ts'
import { FLIGHT, LINKED_LIST, startNode, TRAIN } from '../support/router-node.ts'
import { NOW, temporaryFolder, until } from '../support/router-support.ts'

const ALL = { offset: 0, limit: 100 }
const patient = { k: 20, delayMeanS: 600, delayCapS: 3600 }

describe('what one node learns', () => {
  it('changes what another is told of a similar question, and not of an unrelated one', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm, { mode: 'receive' })
    for (let count = 0; count < 10; count++) await b.learn(LINKED_LIST)
    const before = { alike: await b.ask(FLIGHT), unrelated: await b.ask(LINKED_LIST) }
    assert.deepEqual([before.alike.grade, before.alike.adjustment], ['none', 0])

    for (let count = 0; count < 3; count++) await a.learn(TRAIN, { signal: 0 })
    await until(() => b.accepted.length === 3, 'the packets arrived')
    const after = { alike: await b.ask(FLIGHT), unrelated: await b.ask(LINKED_LIST) }
    assert.deepEqual([after.alike.packets, after.alike.peers], [3, 1])
    assert.ok(after.alike.adjustment < -0.15, `${after.alike.adjustment}`)
    assert.notEqual(after.alike.grade, 'none')
    assert.equal(after.unrelated.packets, 0)
    // The model's average has come down a little: three bad outcomes beside ten good ones.
    assert.ok(Math.abs(after.unrelated.confidence - before.unrelated.confidence) < 0.05)
  })

  it('counts at once for itself, and is found again after a restart', async () => {
    await using folder = await temporaryFolder()
    const [file, identityFile] = [folder.path('qis.db'), folder.path('identity.key')]
    const told = await (async () => {
      await using node = await startNode(createMemorySwarm(), { file, identityFile, mode: 'off' })
      assert.equal(await node.learn(TRAIN, { signal: 0 }), 'recorded')
      return node.ask(TRAIN)
    })()
    assert.ok(told.confidence < 0.4)
    await using again = await startNode(createMemorySwarm(), { file, identityFile, mode: 'off' })
    assert.deepEqual(await again.ask(TRAIN), told)
  })

  it('reaches nobody who asks about other things', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using near = await startNode(swarm)
    await using far = await startNode(swarm)
    await near.ask(FLIGHT)
    await far.ask(LINKED_LIST)
    await a.learn(TRAIN)
    await until(() => near.accepted.length === 1, 'the neighbour heard')
    await a.learn(LINKED_LIST)
    await until(() => far.accepted.length === 1, 'the other heard of its own kind of question')
    for (const node of [near, far]) {
      assert.equal(node.accepted.length, 1)
      assert.ok(node.received.every(result => result === 'accepted' || result === 'known'))
    }
    assert.notEqual(far.accepted[0]?.key, near.accepted[0]?.key)
  })

  it('leaves exactly as the ledger shows it', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: { k: 20, delayMeanS: 0, delayCapS: 0 } })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    a.clock.now += 1234
    await a.learn(TRAIN, { signal: 0, confidence: 0.876, correction: 'factual' })
    await a.learn(TRAIN, { signal: 0.5, domain: 'general.travel' })
    await until(() => a.sent.length === 2 && b.accepted.length === 2, 'both left')
    const lines = (await a.router.ledger(ALL)).toReversed()
    assert.equal(lines.length, 2)
    for (const [index, { key, bytes }] of b.accepted.entries()) {
      const line = lines[index]
      assert.ok(line && Buffer.from(bytes).includes(line.payload))
      const { payload: _, hash, ...rest } = line
      assert.deepEqual(rest, {
        seq: index + 1,
        key,
        topic: `qis/1/${key}`,
        requestId: `request-${index}`,
        bytes: bytes.length,
        leftAt: NOW + 1234,
        recipients: 1,
      })
      assert.match(hash ?? '', /^[0-9a-f]{64}$/)
    }
    assert.match(
      lines[0]?.payload ?? '',
      /^\{"v":1,"sp":"[0-9a-f]{8}","d":"general","qsh":"[0-9a-f]{2,4}","os":0,"mv":"llama-3.1-8b-instruct","ca":true,"ct":"factual","ob":"h","n":"[0-9a-f]{16}","rv":0,"ts":1800000000,"ttl":168\}$/,
    )
    assert.deepEqual(
      a.sent.map(({ bytes }) => bytes),
      lines.map(({ bytes }) => bytes),
    )
    assert.deepEqual(await a.router.ledger({ offset: 1, limit: 1 }), [lines[0]])
    assert.deepEqual((await a.router.verifyLedger()).ok, true)
  })

  it('is withheld where too few ask alike', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: { ...patient, k: 1_000_000 } })
    await a.learn(TRAIN)
    assert.equal(a.withheld, 1)
    assert.deepEqual(await a.store.due(NOW + 1e6, 10), [])
    assert.notEqual((await a.ask(TRAIN)).grade, 'none', 'but it counts here')
  })
})

describe('a changed mind', () => {
  it('replaces what was said before, here and elsewhere', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    await b.ask(FLIGHT)
    assert.equal(await a.learn(TRAIN, { requestId: 'x', signal: 1 }), 'recorded')
    await until(() => b.accepted.length === 1, 'the first word arrived')
    const good = await b.ask(FLIGHT)
    assert.equal(await a.learn(TRAIN, { requestId: 'x', signal: 0 }), 'updated')
    await until(() => b.accepted.length === 2, 'the second word arrived')
    const bad = await b.ask(FLIGHT)
    assert.ok(good.adjustment > 0 && bad.adjustment < 0)
    assert.deepEqual([good.packets, bad.packets, b.router.status().evidence], [1, 1, 1])
    assert.ok((await a.ask(TRAIN)).confidence < 0.4)
  })

  it('of a weaker observer does not count', async () => {
    await using a = await startNode(createMemorySwarm(), { mode: 'off' })
    const say = (observer: 'h' | 'e' | 'i', signal = 1) => a.learn(TRAIN, { requestId: 'x', observer, signal })
    assert.equal(await say('i'), 'recorded')
    assert.equal(await say('e'), 'updated')
    assert.equal(await say('i', 0), 'outranked')
    assert.equal(await say('h'), 'updated')
    assert.equal(await say('h'), 'known')
    assert.equal(await say('e', 0), 'outranked')
    assert.ok((await a.ask(TRAIN)).confidence > 0.6)
    assert.ok(await a.router.withdraw('x'))
    assert.equal(await say('i', 0), 'updated', 'once the stronger word is taken back')
    assert.ok((await a.ask(TRAIN)).confidence < 0.5)
  })

  it('that is none changes nothing, and sends nothing', async () => {
    await using a = await startNode(createMemorySwarm())
    const say = (report: Partial<Report> = {}) =>
      a.learn(TRAIN, { requestId: 'x', confidence: 0.5, strategy: 'cot', ...report })
    assert.equal(await say(), 'recorded')
    await until(async () => (await a.router.ledger(ALL)).length === 1, 'it has left')
    for (let again = 0; again < 3; again++) assert.equal(await say(), 'known')
    assert.equal((await a.store.outcomes(NOW, 10))[0]?.revision, 0)
    const changes: Partial<Report>[] = [
      { confidence: 0.6 },
      { correction: 'format' },
      { signal: 0.5 },
      { strategy: 'rag' },
    ]
    for (const change of changes) assert.equal(await say(change), 'updated')
    assert.ok(await a.router.withdraw('x'))
    assert.equal(await say(), 'updated', 'what was taken back may be said again')
  })

  it('is taken in turn when many change theirs at once', async () => {
    await using a = await startNode(createMemorySwarm())
    const learned = await Promise.all(
      Array.from({ length: 10 }, (_, index) => a.learn(TRAIN, { requestId: 'x', signal: index / 10 })),
    )
    assert.deepEqual(learned, ['recorded', ...Array<string>(9).fill('updated')])
    const [held] = await a.store.outcomes(NOW, 10)
    assert.equal(held?.revision, 9)
  })

  it('is heard 254 times, and one withdrawal more', async () => {
    await using a = await startNode(createMemorySwarm(), { profile: patient })
    for (let count = 0; count < 255; count++) {
      assert.notEqual(await a.learn(TRAIN, { requestId: 'x', signal: count % 2 }), 'outranked')
    }
    assert.equal(await a.learn(TRAIN, { requestId: 'x' }), 'outranked')
    assert.equal(await a.router.withdraw('x'), true)
    assert.equal((await a.store.outcomes(NOW, 10))[0]?.revision, 255)
    assert.equal(await a.learn(TRAIN, { requestId: 'x' }), 'outranked')
  })
})

describe('a withdrawal', () => {
  it('before departure leaves no trace outside', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: patient })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    await a.learn(TRAIN, { requestId: 'regretted' })
    await a.learn(TRAIN, { requestId: 'kept' })
    assert.equal(await a.router.withdraw('regretted'), true)
    a.clock.now += 3600
    await a.learn(LINKED_LIST)
    await until(() => b.accepted.length > 0, 'what was kept arrived')
    assert.equal((await a.router.ledger(ALL)).length, 1)
    assert.equal(b.accepted.length, 1)
    assert.deepEqual(
      (await a.store.due(NOW + 1e6, 10)).map(({ packet }) => packet.time),
      [NOW + 3600],
      'only the last waits',
    )
  })

  it('after departure is sent, and heeded', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    await b.ask(FLIGHT)
    await a.learn(TRAIN, { requestId: 'x', signal: 0 })
    await until(() => b.accepted.length === 1, 'it arrived')
    assert.ok((await b.ask(FLIGHT)).adjustment < 0)
    assert.equal(await a.router.withdraw('x'), true)
    await until(() => b.accepted.length === 2, 'the withdrawal arrived')
    const { adjustment, packets, grade } = await b.ask(FLIGHT)
    assert.deepEqual([adjustment, packets, grade], [0, 0, 'none'])
    assert.equal((await a.ask(TRAIN)).grade, 'none')
    assert.match((await a.router.ledger(ALL))[0]?.payload ?? '', /"rv":1,"op":1/)
    const [first] = b.accepted
    assert.ok(first)
    assert.equal(await b.handlers().receive(first.key, first.bytes), 'ignore', 'what was taken back cannot return')
    assert.equal((await b.ask(FLIGHT)).packets, 0)
  })

  it('in time holds back a packet that waits behind another', async () => {
    const gate = Promise.withResolvers<void>()
    const published: Uint8Array[] = []
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, {
      profile: patient,
      wrap: network => ({
        ...network,
        async publish(key, bytes, options) {
          published.push(bytes)
          await gate.promise
          return network.publish(key, bytes, options)
        },
      }),
    })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    await a.learn(TRAIN, { requestId: 'first' })
    a.clock.now += 1
    await a.learn(TRAIN, { requestId: 'second' })
    a.clock.now += 3600
    await a.learn(LINKED_LIST)
    await until(() => published.length === 1, 'the first is on its way')
    assert.equal(await a.router.withdraw('second'), true)
    gate.resolve()
    await until(async () => (await a.store.due(a.clock.now, 10)).length === 0, 'the outbox is empty')
    await until(() => b.accepted.length === 1, 'the first arrived')
    assert.equal(published.length, 1)
    assert.equal((await a.router.ledger(ALL)).length, 1)
  })

  it('of what was never said, or is withdrawn already, is none', async () => {
    await using a = await startNode(createMemorySwarm())
    assert.equal(await a.router.withdraw('nothing'), false)
    await a.learn(TRAIN, { requestId: 'x' })
    assert.equal(await a.router.withdraw('x'), true)
    assert.equal(await a.router.withdraw('x'), false)
  })
})

describe('a store that fails', () => {
  it('makes learning fail with its reason, and nothing is half learnt', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await using a = await startNode(createMemorySwarm(), { file })
    await a.learn(LINKED_LIST, { requestId: 'y' })
    const other = new DatabaseSync(file)
    other.exec('BEGIN EXCLUSIVE')
    await assert.rejects(a.learn(TRAIN, { requestId: 'x' }), { name: 'DatabaseError', code: 'ERR_DATABASE_LOCKED' })
    await assert.rejects(a.router.withdraw('y'), { code: 'ERR_DATABASE_LOCKED' })
    assert.equal((await a.ask(TRAIN)).grade, 'none')
    assert.notEqual((await a.ask(LINKED_LIST)).grade, 'none')
    assert.equal(a.router.status().evidence, 1)
    other.exec('ROLLBACK')
    other.close()
    assert.equal(await a.learn(TRAIN, { requestId: 'x' }), 'recorded', 'it can be tried again')
  })
})
