import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemorySwarm } from '../../router/network/memory.ts'
import type { Network } from '../../router/network/network.ts'
import { FLIGHT, LINKED_LIST, startNode, TRAIN } from '../support/router-node.ts'
import { NOW, temporaryFolder, until } from '../support/router-support.ts'

const ALL = { offset: 0, limit: 100 }

describe('a mode', () => {
  it('of receive takes and sends nothing', async () => {
    const swarm = createMemorySwarm()
    await using sharing = await startNode(swarm)
    await using receiving = await startNode(swarm, { mode: 'receive' })
    await sharing.ask(TRAIN)
    await receiving.learn(TRAIN)
    await sharing.learn(TRAIN)
    await until(() => receiving.accepted.length === 1, 'the receiver heard')
    assert.deepEqual(await receiving.store.due(NOW + 1e6, 10), [])
    assert.deepEqual(await receiving.router.ledger(ALL), [])
    assert.deepEqual(sharing.received, [])
    const [{ key } = { key: undefined }] = receiving.accepted
    assert.ok(key)
    assert.deepEqual(await receiving.handlers().list(key, ALL), [])
    assert.equal((await sharing.handlers().list(key, ALL)).length, 1)
  })

  it('of off touches no network', async () => {
    const touched: string[] = []
    const spy = (network: Network): Network => ({
      ...network,
      async start() {
        touched.push('start')
      },
      join: () => void touched.push('join'),
      leave: () => void touched.push('leave'),
      async publish() {
        return touched.push('publish')
      },
      async backfill() {
        return touched.push('backfill')
      },
    })
    await using node = await startNode(createMemorySwarm(), { mode: 'off', wrap: spy })
    await node.learn(TRAIN, { requestId: 'x' })
    await node.ask(LINKED_LIST)
    await node.router.withdraw('x')
    assert.equal(node.router.status().networkUp, false)
    assert.deepEqual(touched, [])
    await using other = await startNode(createMemorySwarm(), { wrap: spy })
    await other.ask(TRAIN)
    assert.deepEqual(new Set(touched), new Set(['start', 'join']), 'the spy sees what there is to see')
  })
})

describe('a network', () => {
  it('that cannot start leaves everything local at work', async () => {
    const swarm = createMemorySwarm()
    const broken = (network: Network): Network => ({
      ...network,
      async start() {
        await network[Symbol.asyncDispose]()
        await network.start({ receive: async () => 'ignore', list: async () => [] })
      },
    })
    await using node = await startNode(swarm, { wrap: broken })
    assert.deepEqual(node.warnings, ['the network could not start; the proxy serves on without it'])
    assert.equal(await node.learn(TRAIN, { signal: 0 }), 'recorded')
    assert.ok((await node.ask(TRAIN)).confidence < 0.4)
    assert.deepEqual([node.router.status().networkUp, node.router.status().evidence], [false, 1])
    assert.equal((await node.store.due(NOW, 10)).length, 1, 'the packet waits')
  })

  it('that throws when publishing costs nothing but time', async () => {
    const swarm = createMemorySwarm()
    let down = true
    const flaky = (network: Network): Network => ({
      ...network,
      publish: (...args) => (down ? Promise.reject(new Error('cable unplugged')) : network.publish(...args)),
    })
    const clock = { now: NOW }
    await using a = await startNode(swarm, { wrap: flaky, clock })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    await a.learn(TRAIN)
    await until(() => a.warnings.length === 1, 'it is logged')
    assert.deepEqual(a.warnings, ['a packet could not be sent and waits in the outbox'])
    down = false
    clock.now += 31
    await a.learn(TRAIN)
    await until(() => b.accepted.length === 2, 'both arrived')
  })
})

describe('the outbox', () => {
  it('outlives a restart, and empties when a neighbour has come', async () => {
    await using folder = await temporaryFolder()
    const swarm = createMemorySwarm()
    const clock = { now: NOW }
    const options = { file: folder.path('qis.db'), identityFile: folder.path('identity.key'), clock }
    {
      await using alone = await startNode(swarm, options)
      await alone.learn(TRAIN)
      await until(() => alone.sent.length === 1, 'it was offered')
      assert.equal(alone.sent[0]?.recipients, 0)
    }
    await using neighbour = await startNode(swarm)
    await neighbour.ask(TRAIN)
    {
      await using early = await startNode(swarm, options)
      assert.deepEqual(await early.store.due(clock.now, 10), [], 'it is not offered again at once')
    }
    clock.now += 30
    await using again = await startNode(swarm, options)
    await until(() => neighbour.accepted.length === 1, 'it arrived')
    await until(async () => (await again.store.due(NOW + 1e6, 10)).length === 0, 'nothing waits')
    const [line, ...more] = await again.router.ledger(ALL)
    assert.deepEqual([line?.recipients, line?.leftAt, more], [1, NOW, []])
  })

  it('takes along what is learnt while packets leave', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const gate = Promise.withResolvers<void>()
    let published = 0
    await using a = await startNode(createMemorySwarm(), {
      wrap: network => ({
        ...network,
        async publish(...args) {
          published++
          await gate.promise
          return network.publish(...args)
        },
      }),
    })
    await a.learn(TRAIN)
    await until(() => published === 1, 'the first is on its way')
    await a.learn(TRAIN)
    gate.resolve()
    await until(() => a.sent.length === 2, 'the second followed')
  })

  it('is looked through every five seconds, and what has expired is swept every ten minutes', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    await a.learn(TRAIN)
    await until(async () => (await a.store.due(NOW, 10)).length === 0, 'nobody took it')
    await b.ask(TRAIN)
    a.clock.now += 30
    t.mock.timers.tick(5_000)
    await until(() => a.sent.some(({ recipients }) => recipients === 1), 'it was offered again')
    assert.equal(a.router.status().evidence, 1)
    a.clock.now += 168 * 3600
    t.mock.timers.tick(600_000)
    assert.equal(a.router.status().evidence, 0)
    await until(async () => (await a.store.outcomes(0, 10)).length === 0, 'the store is swept as well')
  })

  it('holds a packet until it is due', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm, { profile: { k: 20, delayMeanS: 600, delayCapS: 3600 }, random: () => 0.5 })
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    await a.learn(TRAIN)
    const [waiting] = await a.store.due(NOW + 1e6, 10)
    assert.equal(waiting?.dueAt, NOW + Math.floor(600 * Math.LN2))
    a.clock.now = waiting.dueAt
    await a.learn(LINKED_LIST)
    await until(() => b.accepted.length === 1, 'it left in time')
  })
})

describe('interest', () => {
  it('brings what was said before one asked', async () => {
    const swarm = createMemorySwarm()
    await using early = await startNode(swarm)
    await early.learn(TRAIN)
    await until(() => early.sent.length === 1, 'nobody was there')
    await using late = await startNode(swarm)
    assert.equal((await late.ask(FLIGHT)).packets, 0, 'no question waits for the network')
    await until(() => late.accepted.length === 1, 'it was filled in')
    assert.equal((await late.ask(FLIGHT)).packets, 1)
  })

  it('is bounded; cells beyond it are visited once', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await a.learn(TRAIN)
    await until(() => a.sent.length === 1, 'it may be asked for')
    let visits = 0
    await using b = await startNode(swarm, {
      maxInterest: 1,
      wrap: network => ({
        ...network,
        backfill(...args) {
          visits++
          return network.backfill(...args)
        },
      }),
    })
    await b.ask(LINKED_LIST)
    await until(() => visits === 10, 'two at a time, all were visited')
    await b.ask(TRAIN)
    await until(() => b.accepted.length === 1 && visits === 21, 'the visit brought it')
    assert.equal(b.router.status().keys, 1)
    await b.ask(TRAIN)
    assert.deepEqual([b.router.status().keys, visits], [1, 21], 'the heavier cell took the place of the lighter')
  })
})

describe('an option', () => {
  it('sets how many cells are read and joined', async () => {
    for (const probes of [3, 8]) {
      await using node = await startNode(createMemorySwarm(), { probes })
      await node.ask(TRAIN)
      assert.equal(node.router.status().keys, probes)
    }
  })

  it('sets how long an outcome lives, here and elsewhere', async () => {
    await using node = await startNode(createMemorySwarm(), {
      ttlHours: 2,
      profile: { k: 20, delayMeanS: 9, delayCapS: 9 },
    })
    await node.learn(TRAIN)
    const [waiting] = await node.store.due(NOW + 1e6, 10)
    assert.equal(waiting?.packet.ttlHours, 2)
    node.clock.now += 2 * 3600
    assert.equal((await node.ask(TRAIN)).grade, 'none')
  })

  it('sets how much evidence is kept in memory', async () => {
    await using node = await startNode(createMemorySwarm(), { maxEvidence: 2 })
    for (let count = 0; count < 3; count++) await node.learn(TRAIN)
    assert.equal(node.router.status().evidence, 2)
  })
})

describe('stopping', () => {
  it('waits for what is being learnt', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    const learned: Promise<unknown>[] = []
    {
      await using node = await startNode(createMemorySwarm(), { file })
      const { code } = await node.ask(TRAIN)
      const report = { code, domain: 'general', model: 'm', signal: 1, observer: 'h', intervention: 0 } as const
      for (let count = 0; count < 10; count++) learned.push(node.router.learn({ requestId: `${count}`, ...report }))
    }
    assert.deepEqual(await Promise.all(learned), Array(10).fill('recorded'))
    await using again = await startNode(createMemorySwarm(), { file })
    assert.equal(again.router.status().evidence, 10)
  })
})
