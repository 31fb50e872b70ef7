import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createEvidenceIndex, SELF } from '../../router/evidence.ts'
import { type EstimateQuery, estimate, grades } from '../../router/synthesis/estimator.ts'
import { FITTED } from '../../router/synthesis/kernel.ts'
import { adjustmentBound } from '../../router/synthesis/trust.ts'
import { decodeCell, evidenceIn, NOW, someEvidence } from '../support/router-support.ts'

const MODEL = 'llama-3.1-8b'
const query: EstimateQuery = { model: MODEL, domain: 'general', prior: 0.5, now: NOW }

/** Something said, and how like the question it is. */
type Vote = Parameters<typeof someEvidence>[0] & { similarity?: number }

let serial = 0

/** Asks about a question of which all `votes` are said; each is about an answer of its own. */
function ask(votes: readonly Vote[], changes: Partial<EstimateQuery> = {}) {
  const index = createEvidenceIndex(decodeCell, 100_000)
  const similarities = new Map<string, number>()
  for (const { similarity = 1, ...said } of votes) {
    const answer = `${serial++}`
    similarities.set(answer, similarity)
    assert.ok(index.put(someEvidence({ model: MODEL, code: codeAt(similarity), ...said, answer })))
  }
  const neighbours = [0xa9, 0xb8]
    .flatMap(cell => evidenceIn(index, cell))
    .map(evidence => ({
      item: evidence,
      similarity: similarities.get(evidence.answer) ?? 0,
    }))
  return estimate(neighbours, { ...query, ...changes }, index)
}

/** Questions differently like another are not the same question. */
function codeAt(similarity: number): string {
  return `a9${Math.round((similarity + 1) * 0x7000)
    .toString(16)
    .padStart(4, '0')}`
}

/** The same vote by so many different peers. */
function peers(count: number, vote: Vote): Vote[] {
  return Array.from({ length: count }, (_, peer) => ({ author: `peer-${peer}`, ...vote }))
}

describe('an estimate', () => {
  it('without evidence is the prior, of no grade and unadjusted', () => {
    for (const prior of [0, 0.2, 0.5, 1]) {
      const { deviation, prospect, ...rest } = ask([], { prior })
      const nothing = { adjustment: 0, grade: 'none', weight: 0, packets: 0, peers: 0 }
      assert.deepEqual(rest, { confidence: prior, ...nothing })
      assert.ok(deviation > 0 && deviation <= 0.5)
      assert.equal(prospect.expected, prior)
      assert.ok(prospect.deviation > 0 && prospect.deviation <= 0.25)
    }
  })

  it('starts from the prior, and evidence outweighs it', () => {
    const own = (count: number) => Array<Vote>(count).fill({ author: SELF, signal: 1, similarity: 0 })
    const [none, one, many] = [0, 1, 50].map(count => ask(own(count), { prior: 0.2 }).confidence)
    assert.equal(none, 0.2)
    assert.ok(one !== undefined && one > 0.2 && one < 0.9)
    assert.ok(many !== undefined && many > 0.9)
  })

  it('follows what this site saw of similar questions, without any network', () => {
    const bad = ask([{ author: SELF, signal: 0 }])
    const good = ask([{ author: SELF, signal: 1 }])
    assert.ok(bad.confidence < 0.3 && good.confidence > 0.7)
    assert.ok(Math.abs(good.adjustment) < 1e-12)
    assert.deepEqual([good.packets, good.peers, good.grade], [0, 0, 'high'])
  })

  it('is moved by peers, who are counted', () => {
    const {
      confidence,
      adjustment,
      packets,
      peers: voices,
    } = ask([
      { author: 'a', signal: 1 },
      { author: 'a', signal: 1 },
      { author: 'b', signal: 1 },
    ])
    assert.ok(Math.abs(adjustment - 0.1) < 1e-12)
    assert.equal(confidence, 0.5 + adjustment)
    assert.deepEqual([packets, voices], [3, 2])
  })

  it('is moved by peers at most as far as local outcomes have earned them', () => {
    for (const [local, bound] of [
      [0, 0.1],
      [5, 0.2],
      [10, 0.3],
      [100, 0.3],
    ] as const) {
      const own = Array<Vote>(local).fill({ author: SELF, signal: 1, similarity: 0 })
      const { adjustment } = ask([...own, ...peers(500, { signal: 0 })])
      assert.ok(Math.abs(adjustment + bound) < 1e-9, `${adjustment} after ${local} local outcomes`)
    }
  })

  it('hears one loud peer, and a thousand keys of strangers, no louder than the bias that all of it may share', () => {
    const few = ask(Array<Vote>(20).fill({ author: 'loud', signal: 0 }))
    const loud = ask(Array<Vote>(1_000).fill({ author: 'loud', signal: 0 }))
    const keys = ask(peers(1_000, { signal: 0 }))
    assert.ok(loud.weight < 1.1 * few.weight, `${loud.weight}, ${few.weight}`)
    for (const { weight } of [loud, keys]) assert.ok(weight < 1 / (FITTED.peerBias + FITTED.strangerBias), `${weight}`)
    assert.deepEqual([loud.packets, loud.peers, keys.peers], [1_000, 1, 1_000])
    const alone = Array<Vote>(20).fill({ author: SELF, signal: 1 })
    const torn = ask([...alone, ...peers(1_000, { signal: 0 })])
    assert.ok(torn.confidence > 0.7, `twenty outcomes seen here stand against them: ${torn.confidence}`)
  })

  it('heeds a stranger more the more it has said', () => {
    const elsewhere: Vote = { author: 'peer', signal: 0.5, similarity: 0 }
    const weights = [0, 1, 5, 20].map(
      count => ask([{ author: 'peer', signal: 1 }, ...Array<Vote>(count).fill(elsewhere)]).weight,
    )
    assert.ok(
      weights.every((weight, i) => i === 0 || weight > (weights[i - 1] as number)),
      `${weights}`,
    )
  })

  it('is graded by how much its evidence tells', () => {
    const gradeOf = (count: number, vote: Vote = {}) => ask(peers(count, { signal: 1, ...vote })).grade
    assert.equal(gradeOf(1, { similarity: 0.4, observer: 'i' }), 'none')
    assert.equal(gradeOf(1, { similarity: 0.7 }), 'low')
    assert.equal(gradeOf(1), 'moderate')
    assert.equal(gradeOf(10), 'high')
  })

  it('is less uncertain the more it rests on', () => {
    const deviations = [0, 1, 3, 10].map(count => ask(peers(count, { signal: 0.5 })).deviation)
    assert.ok(
      deviations.every((deviation, i) => i === 0 || deviation < (deviations[i - 1] as number)),
      `${deviations}`,
    )
  })

  const passedOver: Record<string, Vote> = {
    'is withdrawn': { withdrawn: true },
    'is about a refined prompt': { intervention: 2 },
    'is about another question': { similarity: 0.39 },
    'is about the opposite': { similarity: -1 },
  }
  for (const [what, vote] of Object.entries(passedOver)) {
    it(`passes over what ${what}`, () => {
      for (const author of [SELF, 'peer']) {
        const { weight, packets, peers: voices, grade } = ask([{ ...vote, author, signal: 0 }])
        assert.deepEqual([weight, packets, voices, grade], [0, 0, 0, 'none'])
      }
    })
  }

  it('compares models by what everyone says of them, where what is told is held to a bound', () => {
    const votes = ['best', 'good'].flatMap(model =>
      Array.from({ length: 40 }, (_, i) => {
        return { author: `${model}-${i % 4}`, model, signal: model === 'good' && i % 5 === 0 ? 0 : 1, similarity: 0.9 }
      }),
    )
    const [best, good] = ['best', 'good'].map(model => ask(votes, { model }))
    assert.ok(best && good)
    assert.equal(best.confidence, good.confidence, 'both at the bound')
    assert.ok(best.prospect.expected > good.prospect.expected + 0.05 && good.prospect.expected > good.confidence)
    const far = votes.map(vote => ({ ...vote, similarity: 0 }))
    const [bestAfar, goodAfar] = ['best', 'good'].map(model => ask(far, { model }))
    assert.ok(bestAfar && goodAfar && bestAfar.grade === 'none' && bestAfar.adjustment === 0)
    assert.ok(
      bestAfar.prospect.expected > goodAfar.prospect.expected + 0.05,
      'by their averages, where nothing is near',
    )
  })

  it('has prospects that are the more certain the more outcomes of the model are in this domain', () => {
    const after = (count: number, change: Partial<Vote> = {}) =>
      ask(Array.from({ length: count }, (_, i) => ({ author: SELF, signal: i % 2, similarity: 0, ...change }))).prospect
        .deviation
    assert.ok(Math.abs(after(10) / after(100) - Math.sqrt(104 / 14)) < 0.01)
    assert.ok(after(100) < 0.06)
    assert.equal(after(100, { domain: 'law' }), after(0), 'another domain')
    assert.equal(after(100, { model: 'other' }), after(0), 'another model')
  })

  it('passes over what has expired', () => {
    const vote: Vote = { author: 'peer', signal: 0, time: NOW - 3600 }
    assert.equal(ask([{ ...vote, expires: NOW }]).packets, 0)
    assert.equal(ask([{ ...vote, expires: NOW + 1 }]).packets, 1)
  })

  it('takes nothing at all from withdrawn words and refined prompts, not even for the base rate', () => {
    for (const vote of [{ withdrawn: true }, { intervention: 2 as const }]) {
      const { confidence, adjustment } = ask(Array<Vote>(100).fill({ ...vote, author: SELF, signal: 0 }))
      assert.deepEqual([confidence, adjustment], [0.5, 0])
    }
  })

  it('gives a model that the sidecar chose its due', () => {
    const [chosen, asked] = [1 as const, 0 as const].map(intervention =>
      ask([{ author: SELF, signal: 0, intervention }]),
    )
    assert.equal(chosen?.confidence, asked?.confidence)
  })

  it('heeds what is nearer in every sense more', () => {
    const good: Vote = { author: SELF, signal: 1 }
    const bad: Vote = { author: SELF, signal: 0 }
    const torn = ask([good, bad]).confidence
    assert.ok(Math.abs(torn - 0.5) < 1e-9)
    // From lesser to greater distance; the further the bad news, the better the estimate.
    const distances: Record<string, Vote[]> = {
      time: [{ time: NOW - 3600 }, { time: NOW - 86_400 }, { time: NOW - 6 * 86_400 }],
      'question asked': [{ similarity: 0.95 }, { similarity: 0.8 }, { similarity: 0.5 }],
      model: [{ model: 'llama-3.1-70b' }, { model: 'qwen2.5-7b' }],
      domain: [{ domain: 'clinical' }],
      observer: [{ observer: 'e' }, { observer: 'i' }],
      strategy: [{ strategy: 'rag' }],
    }
    for (const [kind, steps] of Object.entries(distances)) {
      const results = [torn, ...steps.map(step => ask([good, { ...bad, ...step }]).confidence)]
      assert.ok(
        results.every((result, step) => step === 0 || result > (results[step - 1] as number) + 0.0005),
        `${kind}: ${results}`,
      )
    }
  })

  const weights: [vote: Vote, covariance: number, worth: number][] = [
    [{}, 1, 1],
    [{ similarity: 0.9 }, Math.exp(-0.1 / FITTED.lengthScale), 1],
    [{ observer: 'e' }, 1, 0.8],
    [{ observer: 'i' }, 1, 0.3],
    [{ model: 'llama-3.1-70b' }, 0.6, 1],
    [{ model: 'qwen2.5-7b' }, 0.5, 1],
    [{ domain: 'clinical' }, 0.3, 1],
    [{ domain: 'general.travel' }, 0.6, 1],
    [{ strategy: 'rag' }, 0.7, 1],
    [{ domain: 'clinical', model: 'qwen2.5-7b', observer: 'e' }, 0.15, 0.8],
  ]
  for (const [vote, covariance, worth] of weights) {
    it(`learns of a vote with ${JSON.stringify(vote)} as a Gaussian process does`, () => {
      const told = (variance: number) => covariance ** 2 / (variance - covariance ** 2)
      assert.ok(Math.abs(ask([{ ...vote, author: SELF }]).weight - told(1 + 1 / worth)) < 1e-6)
      // A stranger who has said only this.
      const precision = (worth * worth) / (worth + 2)
      const variance = 1 + FITTED.peerBias + FITTED.strangerBias + 1 / precision
      assert.ok(Math.abs(ask([{ ...vote, author: 'peer' }]).weight - told(variance)) < 1e-6)
    })
  }

  it('takes other hyperparameters for granted when told so', () => {
    const code = codeAt(0.8).slice(0, -2)
    const votes: Vote[] = [
      { author: SELF, signal: 1, similarity: 0.8, code: `${code}00` },
      { author: SELF, signal: 0, similarity: 0.75, code: `${code}11` },
      { author: 'a', signal: 0, similarity: 0.7, model: 'llama-3.1-70b', code: `b8${code.slice(2)}22` },
      { author: 'b', signal: 1, similarity: 0.7, model: 'qwen2.5-7b', domain: 'clinical' },
      { author: 'b', signal: 1, similarity: 0.6, domain: 'general.travel' },
      { author: 'b', signal: 1, similarity: 0.5, domain: 'general.travel' },
    ]
    const { weight } = ask(votes)
    for (const name of Object.keys(FITTED) as (keyof typeof FITTED)[]) {
      const other = ask(votes, { fitted: { ...FITTED, [name]: 0.9 * FITTED[name] } }).weight
      assert.ok(Math.abs(other - weight) > 1e-6, name)
    }
  })

  it('heeds all that is asked: what is expected beforehand, when, of what, and who has earned the say', () => {
    const votes: Vote[] = [
      { author: SELF, signal: 1, similarity: 0.9, strategy: 'rag' },
      { author: SELF, signal: 0, similarity: 0.8, model: 'qwen2.5-7b' },
      ...peers(6, { signal: 0.4, similarity: 0.9 }).flatMap(vote => Array<Vote>(5).fill(vote)),
      ...Array<Vote>(8).fill({ author: 'loud', signal: 0.9, similarity: 0.85 }),
      { author: SELF, signal: 1, similarity: 0.7, domain: 'law' },
    ]
    const shares = { local: 0.4, robust: 0.3, network: 0.3, slope: 1 }
    const changes: Record<string, Partial<EstimateQuery>> = {
      model: { model: 'llama-3.1-70b' },
      domain: { domain: 'law' },
      strategy: { strategy: 'rag' },
      prior: { prior: 0.6 },
      now: { now: NOW + 86_400 },
      'more for this site': { shares: { ...shares, local: 0.5, robust: 0.2 } },
      'more for the median': { shares: { ...shares, robust: 0.4, network: 0.2 } },
      'more for everyone': { shares: { ...shares, network: 0.4, local: 0.3 } },
      slope: { shares: { ...shares, slope: 0.5 } },
      fitted: { fitted: { ...FITTED, amplitude: 0.9 } },
    }
    const { confidence } = ask(votes, { shares })
    for (const [what, change] of Object.entries(changes)) {
      const other = ask(votes, { shares, ...change }).confidence
      assert.ok(Math.abs(other - confidence) > 1e-4, `${what}: ${other} and ${confidence}`)
    }
  })

  it('halves the weight of evidence each week', () => {
    const week = 7 * 86_400
    const own = (weeks: number) => ask([{ author: SELF, time: NOW - weeks * week, expires: NOW + 1 }]).weight
    // One outcome of precision p explains 1 / (1 + 1/p), and is equivalent to p.
    for (const [weeks, left] of [1, 0.5, 0.25].entries()) assert.ok(Math.abs(own(weeks) - left) < 1e-9)
    assert.ok(Math.abs(own(-1) - 1) < 1e-9, 'a fast clock gains nothing')
  })

  it('comes down to the base rate as evidence ages', () => {
    const day = 86_400
    const results = [0, 7, 28, 100].map(days => {
      const bad: Vote = { author: SELF, signal: 0, time: NOW - days * day, expires: NOW + 1 }
      return ask([bad]).confidence - ask([{ ...bad, similarity: 0 }]).confidence
    })
    const distances = results.map(Math.abs)
    assert.ok(
      distances.every((distance, i) => i === 0 || distance < (distances[i - 1] as number)),
      `${distances}`,
    )
    assert.ok((distances.at(-1) as number) < 0.01)
  })

  it('lets go of peers as their evidence ages, until nothing of it is left', () => {
    const results = [0, 7, 28, 100].map(days => {
      const elsewhere = peers(10, { signal: 0, time: NOW - days * 86_400, expires: NOW + 1 })
      return ask([{ author: SELF, signal: 1, similarity: 0 }, ...elsewhere])
    })
    const adjustments = results.map(({ adjustment }) => Math.abs(adjustment))
    const weights = results.map(({ weight }) => weight)
    assert.ok(
      weights.every((weight, i) => i === 0 || weight < (weights[i - 1] as number)),
      `${weights}`,
    )
    assert.deepEqual([(adjustments[0] as number) > 0.05, results.at(-1)?.grade, adjustments.at(-1)], [true, 'none', 0])
  })

  it('is moved by no peer that has said nothing near the question, however much it says elsewhere', () => {
    const far = anyVote().chain(vote =>
      fc.double({ min: -1, max: 0.399, noNaN: true }).map(similarity => ({ ...vote, similarity })),
    )
    fc.assert(
      fc.property(fc.array(far, { maxLength: 30 }), votes => {
        const { adjustment, weight, packets, grade } = ask(votes)
        assert.deepEqual([adjustment, weight, packets, grade], [0, 0, 0, 'none'])
      }),
      { numRuns: 100 },
    )
  })

  it('rises with each good outcome that one and the same peer tells of', () => {
    const told = (goods: number) =>
      ask([{ author: SELF, signal: 0, similarity: 0.9 }, ...Array<Vote>(goods).fill({ author: 'peer', signal: 1 })])
    const results = [0, 1, 2, 4, 8, 16].map(goods => told(goods).confidence)
    assert.ok(
      results.every((result, i) => i === 0 || result >= (results[i - 1] as number)),
      `${results}`,
    )
    assert.ok((results.at(-1) as number) > (results[0] as number) + 0.05, `${results}`)
  })

  it('is the same in whatever order its evidence came', () => {
    const votes = fc.array(anyVote(), { minLength: 2, maxLength: 20 })
    fc.assert(
      fc.property(votes, fc.nat(), (list, cut) => {
        const at = cut % list.length
        const [a, b] = [list, [...list.slice(at), ...list.slice(0, at)].toReversed()].map(order => ask(order))
        assert.ok(Math.abs((a?.confidence ?? 0) - (b?.confidence ?? 1)) < 1e-9)
        assert.ok(Math.abs((a?.weight ?? 0) - (b?.weight ?? 1)) < 1e-6)
      }),
      { numRuns: 200 },
    )
  })

  it('never falls when a vote rises, and rises with each good vote more', () => {
    // Of one model and domain: a better record of another model makes its failure near the question weigh more.
    const vote = anyVote().map(any => ({ ...any, model: MODEL, domain: query.domain }))
    const votes = fc.array(vote, { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(votes, fc.nat(), fc.nat(8), (list, which, up) => {
        const at = which % list.length
        const raised = list.map((vote, index) =>
          index === at ? { ...vote, signal: Math.min(1, (vote.signal ?? 0) + up / 8) } : vote,
        )
        assert.ok(ask(raised).confidence >= ask(list).confidence - 1e-9)
      }),
      { numRuns: 300 },
    )
    for (const author of [SELF, undefined]) {
      const results = Array.from({ length: 6 }, (_, count) => {
        const goods = Array.from({ length: count }, (_, peer) => ({ author: author ?? `p${peer}`, signal: 1 }))
        return ask([...goods, { author: SELF, signal: 0 }]).confidence
      })
      assert.ok(
        results.every((result, count) => count === 0 || result >= (results[count - 1] as number)),
        String(results),
      )
    }
  })

  it('stays within its bounds, whatever is said', () => {
    const prior = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.array(anyVote(), { maxLength: 40 }), prior, (votes, prior) => {
        const result = ask(votes, { prior })
        const heard = votes.filter(
          ({ author, model, withdrawn, intervention }) =>
            author === SELF && model === MODEL && !withdrawn && intervention !== 2,
        )
        assert.ok(result.confidence >= 0 && result.confidence <= 1, `confidence ${result.confidence}`)
        assert.ok(
          Math.abs(result.adjustment) <= adjustmentBound(heard.length) + 1e-9,
          `adjustment ${result.adjustment}`,
        )
        assert.ok(result.weight >= 0 && Number.isFinite(result.weight))
        assert.ok(result.peers <= result.packets && result.packets <= votes.length)
        assert.ok(grades.includes(result.grade))
      }),
      { numRuns: 300 },
    )
  })
})

function anyVote() {
  return fc.record({
    author: fc.constantFrom(SELF, SELF, 'a', 'b', 'c'),
    signal: fc.nat(8).map(eighth => eighth / 8),
    model: fc.constantFrom(MODEL, 'llama-3.1-70b', 'qwen2.5-7b'),
    domain: fc.constantFrom('general', 'clinical'),
    observer: fc.constantFrom('h' as const, 'e' as const, 'i' as const),
    intervention: fc.constantFrom(0 as const, 1 as const, 2 as const),
    withdrawn: fc.boolean(),
    time: fc.integer({ min: NOW - 168 * 3600, max: NOW + 7200 }),
    similarity: fc.double({ min: -1, max: 1, noNaN: true }),
  })
}
