import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readOpposites } from '../../bench/fingerprint/data.ts'
import { classesOf, entropy, hitChance, linkPrecision, truthAuc, worstOdds } from '../../bench/privacy/attacks.ts'
import { attackConfidences, attackKs } from '../../bench/privacy/choices.ts'
import { look } from '../../bench/privacy/codes.ts'
import { attackDepths, attackDictionary, drawByWeight, zipf } from '../../bench/privacy/dictionary.ts'
import { createDoor } from '../../bench/privacy/door.ts'
import { announced, footprint, guessTopics } from '../../bench/privacy/interests.ts'
import { skillKept } from '../../bench/privacy/kept.ts'
import { measureRatings } from '../../bench/privacy/ratings.ts'
import { Attribution, attribute } from '../../bench/privacy/sites.ts'
import { measureTags } from '../../bench/privacy/tags.ts'
import { seededRandom } from '../../embeddings/train/corpus.ts'
import type { profiles } from '../../router/disclosure.ts'
import { loadIdentity } from '../../router/identity.ts'
import { shippedSpace } from '../support/router-support.ts'
import { tempFolder } from '../support/temp-folder.ts'

const near = (actual: number | null | undefined, expected: number, within = 1e-9) =>
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) < within, `${actual} is not ${expected}`)

describe('the measures of attacks', () => {
  test('the truth is among the first n by rank, and by lot where scores tie', () => {
    near(hitChance([3, 2, 1], 0, 1), 1)
    near(hitChance([3, 2, 1], 1, 1), 0)
    near(hitChance([3, 2, 1], 1, 2), 1)
    near(hitChance([1, 1, 1, 1], 2, 1), 1 / 4)
    // One is above, three tie for two places.
    near(hitChance([9, 5, 5, 5, 1], 2, 3), 2 / 3)
    near(hitChance([9, 5, 5, 5, 1], 2, 10), 1)
  })

  test('AUC of the truth counts those below it, ties one half, and needs others', () => {
    near(truthAuc([0.9, 0.1, 0.5], 0), 1)
    near(truthAuc([0.5, 0.1, 0.9], 0), 0.5)
    near(truthAuc([0.5, 0.5, 0.9], 0), 0.25)
    assert.equal(truthAuc([1], 0), undefined)
  })

  test('entropy is in bits', () => {
    near(entropy(['a', 'b', 'a', 'b']), 1)
    near(entropy(['a', 'a']), 0)
    near(entropy(['a', 'a', 'b', 'c']), 1.5)
  })

  test('classes hold what looks the same', () => {
    assert.deepEqual(
      [...classesOf(['x', 'y', 'x'])],
      [
        ['x', [0, 2]],
        ['y', [1]],
      ],
    )
  })

  test('links are as good as the share of pairs that look the same and are', () => {
    // Pairs of look a: (0,1) (0,2) (1,2), of which one is of one text; of look b: one, of two texts.
    near(linkPrecision(['a', 'a', 'a', 'b', 'b'], [7, 7, 8, 7, 9]), 1 / 4)
  })

  test('odds are the worst ratio of frequencies, and infinite where one secret alone looks so', () => {
    const looks = (ones: number, noughts: number) => [...Array(ones).fill('1'), ...Array(noughts).fill('0')]
    near(worstOdds(looks(75, 25), looks(25, 75)), 3)
    near(worstOdds(looks(80, 20), looks(40, 60)), 3)
    assert.equal(worstOdds(looks(50, 0), looks(0, 50)), Number.POSITIVE_INFINITY)
    near(worstOdds(looks(50, 50), looks(50, 50)), 1)
  })

  test('a dictionary of equal prefixes is guessed one in so many, deeper digits tell more', () => {
    const codes = ['a000', 'a001', 'a011', 'b000'].map(code => code.padEnd(16, '0'))
    const entries = codes.map(code => ({ text: '', tag: '', code, table: new Float32Array() }))
    const [two, three, four] = attackDepths(entries)
    near(two?.top1, 2 / 4)
    near(three?.top1, 3 / 4)
    near(four?.top1, 1)
    near(two?.top10, 1)
  })

  test('Zipf: the second is asked half as often as the first, and texts are drawn so', () => {
    assert.deepEqual(zipf([2, 0, 1]), [1 / 2, 1 / 3, 1])
    const drawn = drawByWeight([3, 0, 1], 4_000, seededRandom(1))
    assert.equal(drawn.includes(1), false)
    near(drawn.filter(index => index === 0).length / 4_000, 0.75, 0.03)
  })

  test('packets are traced to the site whose codes they share, and by lot where nothing tells', () => {
    const model = new Attribution(2)
    for (const code of ['aa1', 'aa2']) model.learn(0, code)
    for (const code of ['bb1', 'bb2']) model.learn(1, code)
    near(attribute(model, [['aa7'], ['bb7']], 1), 1)
    near(attribute(model, [['cc1'], ['dd1']], 1), 0.5)
    const [own = 0, other = 0] = model.scores('aa1')
    assert.ok(own > other)
  })

  test('skill kept is told by what bench:outcomes printed, and else not at all', () => {
    const of = (bss: number) => ({ bss, bss_tagged: 2 * bss })
    const line = JSON.stringify({ profiles: { open: of(0.2), standard: of(0.15), clinical: of(0.1) } })
    assert.deepEqual(skillKept(`a table\n${line}\n`).clinical, { bss_kept: 0.5, bss_kept_tagged: 0.5 })
    assert.throws(() => skillKept('nothing'))
  })
})

describe('what joined cells tell', () => {
  const footprints = new Map([
    [
      'taxes',
      footprint([
        [1, 2],
        [1, 2],
      ]),
    ],
    ['plants', footprint([[3, 4]])],
    ['boats', footprint([[5, 6]])],
  ])
  const cells = (...joined: number[]) => Array.from({ length: 256 }, (_, cell) => joined.includes(cell))

  test('a topic leaves its mass where its questions fall, nearer cells first', () => {
    near(footprints.get('taxes')?.[1], 2 / 3)
    near(footprints.get('taxes')?.[2], 1 / 3)
  })

  test('topics are guessed from joined cells, and by lot from all of them', () => {
    near(guessTopics(cells(1, 2), footprints, ['taxes']), 1)
    near(guessTopics(cells(1, 2), footprints, ['boats']), 0)
    near(guessTopics(new Array(256).fill(true), footprints, ['boats']), 1 / 3)
  })

  test('with matched interest a site shows the cells it asks about, with whole domains nothing of them', async () => {
    const questions = Array.from({ length: 50 }, () => [7, 8])
    const matched = await announced('0123abcd', 'matched', questions)
    assert.deepEqual(matched.joined, cells(7, 8))
    const whole = await announced('0123abcd', 'domain', questions)
    assert.ok(whole.joined.every(Boolean))
    assert.ok(!whole.visited.some(Boolean))
  })
})

describe('through the real way out', () => {
  const setUp = async (parts: AsyncDisposableStack) => {
    const folder = parts.use(await tempFolder())
    return { space: await shippedSpace(), identity: await loadIdentity(`${folder.path}/key`), random: seededRandom(1) }
  }

  test('a profile is attacked by what its packets say: open gives texts away, clinical hides them', async () => {
    await using parts = new AsyncDisposableStack()
    const components = await setUp(parts)
    const { space } = components
    const texts = readOpposites().flatMap(({ text, opposite, paraphrase }) => [text, opposite, paraphrase])
    const entries = texts.map((text, index) => ({ text, tag: String(index % 2), ...look(space, text) }))
    const all = [...entries.keys()]
    const attacked = {
      space,
      entries,
      popularity: zipf(all),
      confidence: all.map(index => ((index * 37) % all.length) / all.length),
    }
    const attack = (name: keyof typeof profiles) =>
      attackDictionary(attacked, createDoor(components, name), name, all, [0, 1, 2])
    const open = await attack('open')
    const clinical = await attack('clinical')
    assert.equal(open.digits, 16)
    assert.ok(open.top1 > 0.9, `${open.top1}`)
    assert.ok(clinical.top1 < open.top1 / 2, `${clinical.top1}`)
    // Every text is asked once, so that what is alike to all tells nothing.
    near(clinical.within_cell_auc, 0.5)
    assert.ok((open.within_cell_auc ?? 0) > 0.9, `${open.within_cell_auc}`)
    near(clinical.auc_knowing_confidence, 0.5)
    assert.ok((open.auc_knowing_confidence ?? 0) > 0.9, `${open.auc_knowing_confidence}`)
    assert.ok(clinical.top1_tagged > clinical.top1)
  })

  test('all that leaves of one answer tells e² to one, whoever spoke of it, how often, and whatever was taken back', async () => {
    await using parts = new AsyncDisposableStack()
    const components = await setUp(parts)
    const { code } = look(components.space, 'how do I reset my password')
    const { told, ...odds } = await measureRatings(createDoor(components, 'clinical'), code, 300)
    assert.deepEqual(Object.keys(odds), ['once', 'revised', 'evaluator_too', 'rule_too', 'taken_back'])
    // Of 300 each, 36 are expected to be flipped, give or take 6; two bits would tell 55 to one.
    for (const [words, ratio] of Object.entries(odds)) assert.ok(ratio > 4 && ratio < 20, `${words}: ${ratio}`)
    near(told, odds.once / (1 + odds.once))
    const clear = await measureRatings(createDoor(components, 'standard'), code, 40)
    assert.equal(clear.once, Number.POSITIVE_INFINITY, 'the measure would see it')
  })

  test('a confidence narrows the choice by its steps, and larger k widens it', async () => {
    const codes = Array.from({ length: 100 }, (_, index) => (index < 50 ? 'a94' : 'a95'))
    const confidence = codes.map((_, index) => (index % 50) / 50)
    const told = new Map(attackConfidences(codes, confidence).map(({ steps, ...figures }) => [steps, figures]))
    near(told.get(0)?.auc, 0.5)
    near(told.get(0)?.top1, 1 / 50)
    assert.ok((told.get(20)?.auc ?? 0) > 0.95)
    assert.ok((told.get(20)?.top1 ?? 0) > (told.get(4)?.top1 ?? 1) && (told.get(4)?.top1 ?? 0) > 1 / 50)
    const space = await shippedSpace()
    const listed = readOpposites().map(({ text }) => look(space, text).code)
    const ks = attackKs(space, listed, listed)
    for (const [at, { digits, top1, top1_population }] of ks.entries()) {
      assert.ok(at === 0 || digits <= (ks[at - 1]?.digits ?? 0))
      near(top1_population, top1 / 2)
    }
    assert.ok((ks.at(-1)?.top1 ?? 1) < (ks[0]?.top1 ?? 0))
  })

  test('a tag divides those who share a code', async () => {
    const space = await shippedSpace()
    const { code } = look(space, 'how do I reset my password')
    const population = Array.from({ length: 40 }, (_, index) => ({ code, tag: index < 30 ? 'it' : 'bank' }))
    const { code_bits, tag_bits, tag_bits_beside_code, below_k } = measureTags(space, 'standard', population)
    near(code_bits, 0)
    near(tag_bits, tag_bits_beside_code)
    near(tag_bits, -0.75 * Math.log2(0.75) - 0.25 * Math.log2(0.25))
    near(below_k, 10 / 40)
  })
})
