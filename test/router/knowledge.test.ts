import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { MODEL, startNode, TRAIN } from '../support/router-node.ts'
import { until } from '../support/router-support.ts'

const DOSE = 'How much ibuprofen may an adult take per day?'
/** Later than any figure is kept. */
const LATER_S = 60

suite('what a router knows', () => {
  test('is laid out by model and domain, with what is its own, what is of peers, and what to expect', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    assert.deepEqual(await a.router.knowledge(), {
      places: [],
      total: { places: 0, kinds: 0 },
      kinds: { best: [], worst: [] },
      benefits: [],
    })
    await a.ask(TRAIN)
    for (let i = 0; i < 3; i++) await a.learn(TRAIN, { signal: 1 })
    await a.learn(TRAIN, { signal: 0, model: 'another', domain: 'clinical' })
    await b.learn(TRAIN, { signal: 1 })
    await until(() => a.accepted.length === 1, 'the packet has come')
    a.clock.now += LATER_S

    const { places, total } = await a.router.knowledge()
    assert.equal(total.places, 2)
    const [first, second] = places
    const { expected, latest, ...counts } = first ?? assert.fail('no place')
    assert.deepEqual(counts, { domain: 'general', model: MODEL, own: 3, packets: 1, peers: 1 })
    assert.ok(expected > 0.6 && expected < 1, String(expected))
    assert.equal(latest, a.clock.now - LATER_S)
    assert.deepEqual([second?.own, second?.packets, second?.peers], [1, 0, 0])
    assert.ok(Number(second?.expected) < expected)
  })

  test('ranks kinds of question that were rated often enough, best and worst', async () => {
    await using node = await startNode(createMemorySwarm())
    for (let i = 0; i < 3; i++) {
      await node.learn(TRAIN, { signal: 1 })
      await node.learn(DOSE, { signal: 0 })
    }
    for (let i = 0; i < 2; i++) await node.learn('Write a Python function that reverses a list.', { signal: 0 })
    const { kinds, total } = await node.router.knowledge()
    const { code: good } = await node.ask(TRAIN)
    const { code: bad } = await node.ask(DOSE)
    assert.equal(total.kinds, 2)
    const [best, ...otherBest] = kinds.best
    const [worst, ...otherWorst] = kinds.worst
    assert.deepEqual([otherBest, otherWorst], [[], []])
    assert.deepEqual([best?.cell, best?.codes, best?.own], [good.slice(0, 2), [good], 3])
    assert.deepEqual([worst?.cell, worst?.codes, worst?.own], [bad.slice(0, 2), [bad], 3])
    // Three outcomes are no certainty.
    assert.ok(Number(best?.outcome) > 0.5 && Number(best?.outcome) < 0.9)
    assert.ok(Number(worst?.outcome) > 0.1 && Number(worst?.outcome) < 0.4)
  })

  test('forgets what was withdrawn or has expired', async () => {
    await using node = await startNode(createMemorySwarm())
    for (const requestId of ['a', 'b']) await node.learn(TRAIN, { requestId })
    await node.router.withdraw('a')
    assert.equal((await node.router.knowledge()).places[0]?.own, 1)
    node.clock.now += 169 * 3600
    assert.deepEqual((await node.router.knowledge()).places, [])
  })
})
