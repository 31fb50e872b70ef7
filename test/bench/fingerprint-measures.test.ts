import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { commaSeparated, readOpposites } from '../../bench/fingerprint/data.ts'
import { gradedPairs, opposites } from '../../bench/fingerprint/likeness.ts'
import type { Figures } from '../../bench/fingerprint/measure-candidate.ts'
import { auc, brierSkill, cosine, nearestNeighbourAccuracy, spearman } from '../../bench/fingerprint/measures.ts'
import { predictAll, predictProbed, splitOutcomes } from '../../bench/fingerprint/outcomes.ts'
import { cellAgreement, summarise } from '../../bench/fingerprint/summary.ts'
import { comparer, look } from '../../bench/fingerprint/views.ts'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { shippedSpace } from '../support/router-support.ts'

const near = (actual: number | undefined, expected: number) =>
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) < 1e-9, `${actual} is not ${expected}`)

describe('the measures of the fingerprint bench', () => {
  test('Spearman compares ranks, and ties share theirs', () => {
    near(spearman([1, 2, 3, 4], [10, 20, 30, 1_000]), 1)
    near(spearman([1, 2, 3, 4], [4, 3, 2, 1]), -1)
    // d = 1, -1, 0, 0: 1 - 6·2 / (4·15)
    near(spearman([1, 2, 3, 4], [2, 1, 3, 4]), 0.8)
    // Ranks 1.5, 1.5, 3 against 1, 2, 3: 1.5 / √(1.5 · 2)
    near(spearman([5, 5, 9], [1, 2, 3]), 1.5 / Math.sqrt(3))
  })

  test('AUC counts pairs in order, and ties one half', () => {
    near(auc([0.1, 0.4, 0.35, 0.8], [false, false, true, true]), 0.75)
    near(auc([1, 1, 1], [true, false, true]), 0.5)
    near(auc([3, 2, 1], [false, true, true]), 0)
  })

  test('a nearest neighbour is right when its label is', () => {
    const known = [0, 10, 20]
    const labels = ['a', 'b', 'a']
    const asked: [number, string][] = [
      [1, 'a'],
      [9, 'b'],
      [12, 'a'],
      [5, 'a'], // as near to the first as to the second: the first counts
    ]
    const accuracy = nearestNeighbourAccuracy(
      asked.length,
      known.length,
      (query, item) => -Math.abs((asked[query]?.[0] ?? 0) - (known[item] ?? 0)),
      (query, item) => asked[query]?.[1] === labels[item],
    )
    near(accuracy, 0.75)
  })

  test('Brier skill is 0 for the base rate, 1 for certainty in what came true, less than 0 for harm', () => {
    near(brierSkill([0.5, 0.5], [1, 0], 0.5), 0)
    near(brierSkill([1, 0], [1, 0], 0.5), 1)
    // Errors 0.04 and 0.16 against 0.25 each.
    near(brierSkill([0.8, 0.4], [1, 0], 0.5), 1 - 0.1 / 0.25)
    near(brierSkill([0, 1], [1, 0], 0.5), -3)
  })

  test('cosine is what it says', () => {
    near(cosine(Float32Array.of(0, 1), Float32Array.of(1, 0)), 0)
  })
})

describe('the data of the fingerprint bench', () => {
  test('fields in quotation marks hold commas, line breaks and quotation marks', () => {
    assert.deepEqual(commaSeparated('text,label\r\n"a, ""b""\nc",x\nplain,"y"\n'), [
      ['text', 'label'],
      ['a, "b"\nc', 'x'],
      ['plain', 'y'],
    ])
    assert.deepEqual(commaSeparated('a,\n,b'), [
      ['a', ''],
      ['', 'b'],
    ])
  })

  test('are 200 sentences, all different, each with an opposite and a paraphrase', () => {
    const triples = readOpposites()
    assert.equal(triples.length, 200)
    assert.equal(new Set(triples.map(({ text }) => text)).size, 200)
    for (const { text, opposite, paraphrase } of triples) {
      assert.equal(new Set([text, opposite, paraphrase, '']).size, 4, text)
    }
  })
})

describe('the fingerprint bench, on a handful of texts', () => {
  const texts = ['reset my password', 'reset my password please', 'the rings of saturn', 'saturn has rings']
  const see = async (of = texts) => look(createStaticEmbedder(), await shippedSpace(), of)

  test('sees likeness through every view, and less of it through fewer digits', async () => {
    const space = await shippedSpace()
    const seen = await see()
    const [asked] = seen
    assert.ok(asked)
    for (const view of ['raw', 'exact'] as const) near(Math.round(1e6 * comparer(space, view, seen)(asked, 0)), 1e6)
    const full = comparer(space, 16, seen)(asked, 0)
    const coarse = comparer(space, 2, seen)(asked, 0)
    assert.ok(full > coarse && full < 1, `${full} ${coarse}`)
    const pairs = { a: texts, b: texts, scores: [5, 4, 1, 0] }
    near(
      gradedPairs(pairs, [asked, asked, asked, asked], (_, index) => -index),
      1,
    )
  })

  test('tells opposites from paraphrases by likeness alone', () => {
    const asked = Array.from({ length: 2 }, () => ({}) as Awaited<ReturnType<typeof look>>[number])
    const likeness = [0.9, 0.5]
    const result = opposites(
      asked,
      (_, i) => [0.9, 0.7][i] ?? 0,
      (_, i) => likeness[i] ?? 0,
    )
    // Of the pairs (0.9, 0.9), (0.9, 0.7), (0.5, 0.9), (0.5, 0.7) one is in order and one a tie.
    assert.deepEqual(result, { auc: 0.375, confused: 1, oppositeLikeness: 0.8, paraphraseLikeness: 0.7 })
  })

  test('predicts by the packets that are received, and receives all of them with every cell probed', async () => {
    const space = await shippedSpace()
    const many = Array.from({ length: 400 }, (_, i) => `${texts[i % 4]} ${i % 50}`)
    const right = many.map((_, i) => [i % 4 < 2 ? 1 : 0])
    const table = splitOutcomes(space, { texts: many, right }, await see(many), 1, { packets: 300, queries: 100 })
    assert.deepEqual([table.packets.length, table.queries.length], [300, 100])
    const [all, everywhere] = [predictAll(table, 'exact'), predictProbed(table, 256)]
    assert.ok(all.auc > 0.99 && all.skill > 0.9, JSON.stringify(all))
    near(everywhere.traffic, 1)
    const one = predictProbed(table, 1)
    assert.ok(one.traffic < 0.9 && one.auc > 0.99, JSON.stringify(one))
  })

  test('compares the cells of two embedders only where they share a space', async () => {
    const space = await shippedSpace()
    const other = { ...space, id: '00000000' }
    const student = {
      space,
      cells: [
        [1, 2],
        [3, 4],
        [5, 6],
        [7, 8],
      ],
    }
    const teacher = {
      space: { ...space },
      cells: [
        [1, 9],
        [4, 3],
        [6, 9],
        [9, 7],
      ],
    }
    assert.deepEqual(cellAgreement(student, teacher), { sameCell: 0.25, probed: 0.75 })
    assert.equal(cellAgreement(student, { ...teacher, space: other }), undefined)
    assert.equal(cellAgreement({ space, cells: [] }, { space, cells: [] }), undefined)
  })

  test('says null for what was not measured', () => {
    assert.deepEqual(summarise(new Map<'builtin', Figures>(), undefined), {
      builtin: null,
      potion: null,
      minilm: null,
      code16_vs_exact: null,
      probe8: null,
      student_teacher_cell_agreement: null,
    })
  })
})
