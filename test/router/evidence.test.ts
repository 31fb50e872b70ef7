import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createEvidenceIndex, type Evidence, type EvidenceIndex, SELF } from '../../router/evidence.ts'
import { decode, dotTable, project } from '../../router/fingerprint.ts'
import { decodeCell, evidenceIn, NOW, shippedSpace, someEvidence } from '../support/router-support.ts'

type Said = ReturnType<typeof someEvidence>

const MODELS = ['llama-3.1-8b', 'qwen2.5-7b']
const DOMAINS = ['general', 'clinical']
const CELLS = ['00', '01', 'ff']

function createIndex(maxEntries = 100) {
  return createEvidenceIndex(decodeCell, maxEntries)
}

/** An index promises no order. */
function byName(a: Said, b: Said): number {
  return `${a.author}/${a.answer}` < `${b.author}/${b.answer}` ? -1 : 1
}

function counts(index: EvidenceIndex): Record<string, number> {
  return Object.fromEntries(Array.from(index.authors, ([author, said]) => [author, said.size]))
}

function inCell(index: EvidenceIndex, code: string): Evidence[] {
  return evidenceIn(index, Number.parseInt(code.slice(0, 2), 16)).sort(byName)
}

describe('the evidence index', () => {
  it('finds evidence by its cell, ready for comparison', () => {
    const index = createIndex()
    assert.ok(index.put(someEvidence({ code: 'a94a', model: 'llama-3.1-8b' })))
    assert.deepEqual(inCell(index, 'b0'), [])
    const [found] = inCell(index, 'a9')
    assert.equal(found?.family, 'llama')
    assert.equal(found?.cell, 0xa9)
  })

  it('replaces what an author said of an answer by a later revision, and by no other', () => {
    const index = createIndex()
    assert.ok(index.put(someEvidence({ revision: 1, signal: 0, code: '00' })))
    assert.ok(!index.put(someEvidence({ revision: 1, signal: 1, code: '01' })), 'a copy')
    assert.ok(!index.put(someEvidence({ revision: 0, signal: 1, code: '01' })), 'an older revision')
    assert.equal(inCell(index, '00')[0]?.signal, 0)
    assert.ok(index.put(someEvidence({ revision: 2, signal: 1, code: '01' })))
    assert.deepEqual(inCell(index, '00'), [])
    assert.equal(inCell(index, '01')[0]?.signal, 1)
    assert.equal(index.size, 1)
  })

  it('keeps what different authors say of the same answer apart', () => {
    const index = createIndex()
    for (const author of [SELF, 'a', 'b']) assert.ok(index.put(someEvidence({ author })))
    assert.equal(index.size, 3)
  })

  it('knows of whom it holds how much, and lists what peers say, the last to arrive first', () => {
    const index = createIndex()
    const said = (author: string, answer: string, code: string, revision = 0) =>
      index.put(someEvidence({ author, answer, code, revision, expires: NOW + Number(revision) }))
    said('a', '1', '00')
    said('a', '2', '01')
    said('b', '3', '00', 1)
    said(SELF, '4', '00')
    said('a', '1', '00', 1)
    const listed = (page: Parameters<EvidenceIndex['foreign']>[0]) => {
      const { total, items } = index.foreign(page)
      return [total, items.map(({ answer }) => answer).join('')]
    }
    assert.deepEqual(counts(index), { a: 2, b: 1 })
    assert.deepEqual(listed({ offset: 0, limit: 9 }), [3, '132'])
    assert.deepEqual(listed({ cell: 0, offset: 1, limit: 9 }), [2, '3'])
    index.sweep(NOW)
    assert.deepEqual(counts(index), { a: 1, b: 1 })
    index.forget('a')
    assert.deepEqual(counts(index), { b: 1 })
  })

  it('keeps a withdrawal without weight, so that an older copy cannot return', () => {
    const index = createIndex()
    index.put(someEvidence({ revision: 0 }))
    assert.ok(index.put(someEvidence({ revision: 1, withdrawn: true })))
    assert.ok(!index.put(someEvidence({ revision: 0 })))
    assert.equal(index.tally('llama-3.1-8b-instruct', undefined, false).n, 0)
    assert.deepEqual(
      inCell(index, 'a9').map(entry => entry.withdrawn),
      [true],
    )
  })

  it('counts nothing of a refined prompt towards what a model does by itself', () => {
    const index = createIndex()
    index.put(someEvidence({ author: SELF, intervention: 2 }))
    assert.equal(index.tally('llama-3.1-8b-instruct', undefined, false).n, 0)
    assert.equal(index.tally('llama-3.1-8b-instruct', undefined, true).n, 0)
    index.put(someEvidence({ author: 'a', intervention: 1 }))
    assert.equal(
      index.tally('llama-3.1-8b-instruct', undefined, false).n,
      1,
      'a chosen model is asked the plain prompt',
    )
  })

  it('makes room by dropping what arrived first; what was replaced has arrived anew', () => {
    const index = createIndex(2)
    for (const answer of ['a', 'b']) index.put(someEvidence({ answer }))
    index.put(someEvidence({ answer: 'a', revision: 1 }))
    index.put(someEvidence({ answer: 'c' }))
    assert.deepEqual(
      inCell(index, 'a9').map(entry => entry.answer),
      ['a', 'c'],
    )
  })

  it("drops peers' evidence before this site's own, however much arrives", () => {
    const index = createIndex(3)
    for (const answer of ['a', 'b']) index.put(someEvidence({ author: SELF, answer }))
    for (let count = 0; count < 10; count++) index.put(someEvidence({ author: 'peer', answer: `${count}` }))
    assert.deepEqual(
      inCell(index, 'a9').map(entry => entry.author + entry.answer),
      ['a', 'b', 'peer9'],
    )
    for (const answer of ['c', 'd']) index.put(someEvidence({ author: SELF, answer }))
    assert.deepEqual(
      inCell(index, 'a9').map(entry => entry.answer),
      ['b', 'c', 'd'],
    )
  })

  it('gives the nearest when there are more than asked for', async () => {
    const space = await shippedSpace()
    const index = createEvidenceIndex(code => decode(space, code), 1_000)
    const codes = Array.from({ length: 300 }, (_, i) => `a9${(i * 7919).toString(16).padStart(6, '0').slice(-6)}`)
    for (const [answer, code] of codes.entries()) index.put(someEvidence({ answer: `${answer}`, code }))
    const table = dotTable(space, project(space, new Float32Array(space.inputDimensions).fill(0.01)))
    const all = index.near(table, [0xa9], -1, 1_000).map(({ similarity }) => similarity)
    const some = index.near(table, [0xa9], -1, 20).map(({ similarity }) => similarity)
    assert.equal(all.length, 300)
    all.sort((a, b) => b - a)
    assert.ok(some.length >= 12 && some.length <= 20, `${some.length}`)
    assert.deepEqual(
      some.sort((a, b) => b - a),
      all.slice(0, some.length),
    )
  })

  it('reads no further cell once the nearest hold thousands', () => {
    const index = createIndex(10_000)
    for (let answer = 0; answer < 5_000; answer++) index.put(someEvidence({ answer: `${answer}`, code: 'a9' }))
    index.put(someEvidence({ answer: 'far', code: 'b0' }))
    const near = (cells: number[]) => index.near(new Float32Array(480), cells, -1, 10_000).length
    assert.equal(near([0xa9, 0xb0]), 5_000)
    assert.equal(near([0xb0, 0xa9]), 5_001)
  })

  it('drops what has expired', () => {
    const index = createIndex()
    index.put(someEvidence({ answer: 'a', expires: NOW }))
    index.put(someEvidence({ answer: 'b', expires: NOW + 1 }))
    index.sweep(NOW)
    assert.deepEqual(
      inCell(index, 'a9').map(entry => entry.answer),
      ['b'],
    )
  })

  it('agrees with a naive recount after any puts and sweeps', () => {
    const put = fc.record({
      author: fc.constantFrom(SELF, 'a', 'b'),
      answer: fc.constantFrom('1', '2', '3', '4'),
      revision: fc.nat(4),
      code: fc.constantFrom(...CELLS),
      model: fc.constantFrom(...MODELS),
      domain: fc.constantFrom(...DOMAINS),
      signal: fc.nat(1000).map(thousandth => thousandth / 1000),
      withdrawn: fc.boolean(),
      intervention: fc.constantFrom(0 as const, 1 as const, 2 as const),
      expires: fc.integer({ min: NOW, max: NOW + 100 }),
    })
    const sweep = fc.integer({ min: NOW, max: NOW + 100 })
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: put }, sweep), { maxLength: 60 }), steps => {
        const index = createIndex(6)
        let held: Said[] = []
        for (const step of steps) {
          if (typeof step === 'number') {
            index.sweep(step)
            held = held.filter(entry => entry.expires > step)
          } else {
            const said = someEvidence(step)
            const isSame = (entry: Said) => entry.author === said.author && entry.answer === said.answer
            const taken = !held.some(entry => isSame(entry) && entry.revision >= said.revision)
            assert.equal(index.put(said), taken)
            if (taken) held = [...held.filter(entry => !isSame(entry)), said]
            if (held.length > 6) {
              const oldest = held.find(entry => entry.author !== SELF) ?? held[0]
              held = held.filter(entry => entry !== oldest)
            }
          }
          assertSame(index, held)
        }
      }),
    )
  })
})

function assertSame(index: EvidenceIndex, held: readonly Said[]): void {
  assert.equal(index.size, held.length)
  for (const code of CELLS) {
    const expected = held.filter(entry => entry.code === code).sort(byName)
    assert.deepEqual(
      inCell(index, code).map(({ cell, family, sharpness, place, observerWeight, noisy, traces, ...said }) => said),
      expected,
    )
  }
  for (const model of MODELS) {
    for (const domain of [undefined, ...DOMAINS]) {
      for (const ownOnly of [true, false]) {
        const counted = held.filter(
          entry =>
            !entry.withdrawn &&
            entry.intervention !== 2 &&
            entry.model === model &&
            (domain === undefined || entry.domain === domain) &&
            (!ownOnly || entry.author === SELF),
        )
        const { n, sum } = index.tally(model, domain, ownOnly)
        assert.equal(n, counted.length)
        assert.ok(Math.abs(sum - counted.reduce((total, entry) => total + entry.signal, 0)) < 1e-9)
      }
    }
  }
}
