import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import type { Near } from '../../router/code-index.ts'
import { type Evidence, SELF } from '../../router/evidence.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import type { Network } from '../../router/network/network.ts'
import { OBSERVER_WEIGHT } from '../../router/outcome.ts'
import { chooseAmong } from '../../router/synthesis/choice.ts'
import { correctionShares } from '../../router/synthesis/corrections.ts'
import { weighNearby } from '../../router/synthesis/nearby.ts'
import { sourceEffects } from '../../router/synthesis/sources.ts'
import { judgeTrial } from '../../router/synthesis/trial.ts'
import { FLIGHT, MODEL, startNode, TRAIN } from '../support/router-node.ts'
import { NOW, someEvidence, until } from '../support/router-support.ts'

const standing = (author: string) =>
  author === SELF ? 'self' : author.startsWith('proven') ? 'proven' : author === 'liar' ? 'distrusted' : 'unproven'
const here = { domain: 'general', now: NOW, standing } as const

function near(changes: Parameters<typeof someEvidence>[0] & { similarity?: number } = {}): Near<Evidence> {
  const { similarity = 1, ...said } = changes
  const item = someEvidence(said)
  const observerWeight = OBSERVER_WEIGHT[item.observer]
  const traces = { own: { lean: 0, told: 0 }, crowd: { lean: 0, told: 0 } }
  return {
    item: { ...item, observerWeight, noisy: false, traces, cell: 0xa9, sharpness: 1, family: 'llama', place: 0 },
    similarity,
  }
}
const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))
const total = (weighed: readonly { weight: number }[]) => weighed.reduce((sum, { weight }) => sum + weight, 0)

describe('what outcomes near a question weigh', () => {
  it('falls with distance, age, another domain and a weaker observer; the dead weigh nothing', () => {
    const weight = (changes: Parameters<typeof near>[0]) =>
      total(weighNearby([near({ author: SELF, ...changes })], here))
    assert.equal(weight({}), 1)
    assert.equal(weight({ domain: 'law' }), 0.5)
    assert.equal(weight({ observer: 'i' }), 0.3)
    assert.ok(Math.abs(weight({ time: NOW - 7 * 24 * 3600 + 1 }) - 0.5) < 0.01)
    assert.ok(weight({ similarity: 0.8 }) < 0.2)
    assert.deepEqual([weight({ withdrawn: true }), weight({ expires: NOW })], [0, 0])
  })

  it('is bounded for one peer and for all of them, and not for this site', () => {
    const from = (author: (at: number) => string) =>
      total(
        weighNearby(
          times(100, at => near({ author: author(at) })),
          here,
        ),
      )
    assert.ok(Math.abs(from(() => 'proven') - 2) < 1e-9)
    assert.ok(Math.abs(from(at => `stranger-${at}`) - 2) < 1e-9, 'all strangers are one peer')
    assert.equal(
      from(() => 'liar'),
      0,
    )
    assert.ok(Math.abs(from(at => `proven-${at}`) - 8) < 1e-9)
    assert.equal(
      from(() => SELF),
      100,
    )
  })
})

describe('the effect of a source', () => {
  const effectOf = (outcomes: readonly Near<Evidence>[], label = 'faq') =>
    sourceEffects(weighNearby(outcomes, here), [label]).get(label)?.effect
  const vote = (signal: number, strategy?: string) => near({ author: SELF, signal, ...(strategy && { strategy }) })

  it('is none without outcomes that name it, bounded, and no more bad outcomes ever raise it', () => {
    assert.equal(effectOf([]), 0)
    assert.equal(effectOf([vote(0), vote(1, 'wiki')]), 0)
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(undefined, 'faq', 'wiki', 'faq.wiki')),
        ),
        said => {
          const outcomes = said.map(([signal, strategy]) => vote(signal, strategy))
          const effect = effectOf(outcomes) ?? Number.NaN
          assert.ok(effect >= -0.5 && effect <= 0.5)
          assert.ok((effectOf([...outcomes, vote(0, 'faq')]) ?? 1) <= effect + 1e-12)
        },
      ),
    )
  })

  it('is shared by the sources that one strategy names', () => {
    const alone = effectOf(times(4, () => vote(1, 'faq'))) ?? 0
    const shared = effectOf(times(4, () => vote(1, 'faq.wiki'))) ?? 0
    assert.ok(alone > shared && shared > 0)
    assert.equal(
      effectOf(
        times(4, () => vote(1, 'faq.wiki')),
        'fa',
      ),
      0,
    )
  })
})

describe('shares of corrections', () => {
  it('are none without evidence, grow with it, and leave out what came of refined prompts', () => {
    const share = (outcomes: readonly Near<Evidence>[]) => {
      const [first] = correctionShares(weighNearby(outcomes, here))
      return { type: first?.type, share: first?.share }
    }
    assert.equal(share([]).share, 0)
    const corrected = (count: number) => times(count, () => near({ author: SELF, signal: 0, correction: 'format' }))
    assert.deepEqual(share(corrected(1)), { type: 'format', share: 0.5 })
    assert.deepEqual(share(corrected(3)), { type: 'format', share: 0.75 })
    const cured = times(5, () => near({ author: SELF, intervention: 2 }))
    assert.deepEqual(share([...corrected(3), ...cured]), { type: 'format', share: 0.75 })
    const fine = times(4, () => near({ author: SELF }))
    assert.deepEqual(share([...corrected(3), ...fine]), { type: 'format', share: 0.375 })
  })
})

describe('a trial', () => {
  const state = (treated: [number, number], held: [number, number]) =>
    judgeTrial({ n: treated[0], good: treated[1] }, { n: held[0], good: held[1] }).state

  it('goes on while little is known and where it helps, and ends where it harms or does nothing', () => {
    assert.equal(state([0, 0], [0, 0]), 'running')
    assert.equal(state([9, 0], [9, 9]), 'running', 'too few')
    assert.equal(state([10, 0], [10, 10]), 'off')
    assert.equal(state([10, 10], [10, 0]), 'running')
    assert.equal(state([50, 25], [50, 25]), 'running', 'not yet seen to do nothing')
    assert.equal(state([400, 200], [100, 50]), 'off', 'it had its time')
    assert.equal(state([400, 280], [100, 50]), 'running')
  })

  it('has a probability that is one, even where nothing differs', () => {
    const count = fc.nat(1000).chain(n => fc.tuple(fc.constant(n), fc.nat(n)))
    fc.assert(
      fc.property(count, count, ([n, good], [m, fine]) => {
        const { probability, effect } = judgeTrial({ n, good }, { n: m, good: fine })
        const mirrored = judgeTrial({ n: m, good: fine }, { n, good })
        assert.ok(probability >= 0 && probability <= 1 && Math.abs(effect) < 1)
        assert.ok(Math.abs(probability + mirrored.probability - 1) < 1e-6)
      }),
    )
  })

  it('ends a useless treatment in vain seldom and a harmful one soon', () => {
    const dice = lehmer(7)
    const run = (treated: number, held: number) => {
      const arms = { treated: { n: 0, good: 0 }, held: { n: 0, good: 0 } }
      for (let at = 0; at < 500; at++) {
        const arm = dice() < 0.2 ? arms.held : arms.treated
        arm.n++
        if (dice() < (arm === arms.held ? held : treated)) arm.good++
        if (judgeTrial(arms.treated, arms.held).state === 'off') return at
      }
      return 500
    }
    const ended = (treated: number, held: number) => times(300, () => run(treated, held)).filter(at => at < 500).length
    assert.ok(ended(0.4, 0.7) > 290, 'harmful')
    assert.ok(ended(0.8, 0.5) < 15, 'helpful')
  })
})

describe('a choice among models', () => {
  const candidate = (expected: number, price = 0, deviation = 0.1) => ({ expected, deviation, price })
  const certain = { priceWeight: 0.5, explore: undefined }

  it('takes the best less its price; a higher price never helps', () => {
    const order = (one: number, other: number) =>
      chooseAmong([candidate(0.8, one), candidate(0.6, other)], certain, Math.random).order
    assert.deepEqual(order(0, 0), [0, 1])
    assert.deepEqual(order(10, 1), [1, 0])
    assert.deepEqual(order(10, 9), [0, 1])
    const costs = fc.double({ min: 0, max: 100, noNaN: true })
    fc.assert(
      fc.property(costs, costs, costs, (mine, more, other) => {
        if (order(mine, other)[0] === 1) assert.equal(order(mine + more, other)[0], 1)
      }),
    )
  })

  it('without exploring is certain, and of equals takes the first', () => {
    const { order, scores, reason } = chooseAmong(
      times(3, () => candidate(0.5)),
      certain,
      Math.random,
    )
    assert.deepEqual([order, scores, reason], [[0, 1, 2], [0.5, 0.5, 0.5], 'best'])
  })

  it('tries the unknown often, the hopeless seldom, and none never', () => {
    const dice = lehmer(1)
    const share = (candidates: Parameters<typeof chooseAmong>[0], explore: number) => {
      const first = times(20_000, () => chooseAmong(candidates, { priceWeight: 0, explore }, dice).order[0])
      return first.filter(at => at === 1).length / first.length
    }
    const unknown = share([candidate(0.55, 0, 0.02), candidate(0.5, 0, 0.2)], 0)
    assert.ok(unknown > 0.12 && unknown < 0.2, String(unknown))
    assert.equal(share([candidate(0.9, 0, 0.02), candidate(0.1, 0, 0.02)], 0), 0)
    const floor = share([candidate(0.9, 0, 0.02), candidate(0.1, 0, 0.1)], 0.1)
    assert.ok(Math.abs(floor - 0.05) < 0.01, String(floor))
    const sunk = share([candidate(0.9, 0, 0.02), candidate(0.1, 0, 0.05)], 0.1)
    assert.ok(Math.abs(sunk - 0.05 / 4) < 0.004, `the floor sinks with what is known: ${sunk}`)
  })

  it('keeps the others in their order behind one that is tried at random', () => {
    const dice = [0, 0, 0, 0, 0, 0, 0, 0.99, 0]
    const candidates = [candidate(0.9, 0, 0), candidate(0.8, 0, 0), candidate(0.7, 0, 0.2)]
    const { order, reason } = chooseAmong(candidates, { priceWeight: 0, explore: 0.5 }, () => dice.shift() ?? 0)
    assert.deepEqual([order, reason], [[2, 0, 1], 'explored'])
  })
})

describe('a router asked about a question', () => {
  it('tells what lies around it, peers’ outcomes too, with their strategies and corrections', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    await b.ask(TRAIN)
    await a.learn(TRAIN, { signal: 0, correction: 'factual', strategy: 'faq' })
    const vector = await vectorOf(FLIGHT)
    await until(() => b.router.around(vector).neighbours.length > 0, 'the packet arrived')
    const [found] = b.router.around(vector).neighbours
    assert.deepEqual(
      [found?.item.correction, found?.item.strategy, found?.item.author],
      ['factual', 'faq', a.identity.id],
    )
  })

  it('can suppose outcomes, which stay supposed', async () => {
    await using node = await startNode(createMemorySwarm())
    const question = { vector: await vectorOf(TRAIN), domain: 'general', model: MODEL }
    const known = node.router.lookup(question)
    assert.deepEqual(node.router.suppose(question, []), known)
    const [bad, good] = [0, 1].map(signal => node.router.suppose(question, [signal, signal]))
    assert.ok(bad && good && bad.confidence < known.confidence && good.confidence > known.confidence)
    assert.ok(good.weight > known.weight && good.deviation < known.deviation)
    assert.deepEqual(node.router.lookup(question), known)
    await node.learn(TRAIN, { signal: 1 })
    await node.learn(TRAIN, { signal: 1 })
    assert.ok(Math.abs(node.router.lookup(question).weight - good.weight) < 0.01, 'as if they had been')
  })

  it('asks the network nothing for a question that is only asked about', async () => {
    const joined: string[] = []
    const spy = (network: Network): Network => ({ ...network, join: key => void joined.push(key) })
    await using node = await startNode(createMemorySwarm(), { wrap: spy })
    await node.ask(TRAIN, { asked: false })
    assert.deepEqual(joined, [])
    await node.ask(TRAIN)
    assert.ok(joined.length > 0)
  })
})

async function vectorOf(text: string): Promise<Float32Array> {
  const [vector] = await createStaticEmbedder().embed([text])
  assert.ok(vector)
  return vector
}

/** Lewis, Goodman & Miller 1969: the same numbers each time. */
function lehmer(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
