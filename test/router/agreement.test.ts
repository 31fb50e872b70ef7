import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAgreement, type Measure, type Trace } from '../../router/synthesis/agreement.ts'

const trace = (): Trace => ({ lean: 0, told: 0 })

/** So many outcomes of an author, each beside one that was seen elsewhere. */
function meet(count: number, said: (seen: number) => number, measure: Measure = 'own') {
  const agreement = createAgreement()
  for (let i = 0; i < count; i++) {
    const seen = i % 2 === 0 ? 0.5 : -0.5
    agreement.compare('peer', measure, trace(), 1, seen, said(seen), 1)
  }
  return agreement
}

describe('agreement with what was seen here', () => {
  it('proves a peer that says the same, and finds out one that says the opposite', () => {
    assert.equal(createAgreement().standing('peer'), 'unproven')
    assert.equal(meet(2, seen => seen).standing('peer'), 'unproven', 'a few pairs prove nothing')
    assert.equal(meet(40, seen => seen).standing('peer'), 'proven')
    assert.equal(meet(40, seen => -seen).standing('peer'), 'distrusted')
  })

  it('says nothing of a peer that always says the same', () => {
    assert.equal(meet(400, () => 0.5).standing('peer'), 'unproven')
  })

  it('with other peers proves nobody; contradicting them is found out unless it is borne out here', () => {
    assert.equal(meet(400, seen => seen, 'crowd').standing('peer'), 'unproven')
    const lonely = meet(400, seen => -seen, 'crowd')
    assert.equal(lonely.standing('peer'), 'distrusted')
    for (let i = 0; i < 40; i++) lonely.compare('peer', 'own', trace(), 1, 0.5, 0.5, 1)
    assert.equal(lonely.standing('peer'), 'proven')
  })

  it('takes from a word as it contradicts more', () => {
    const credibilities = [0, 10, 30].map(count => meet(count, seen => -seen / 2).credibility('peer'))
    assert.equal(credibilities[0], 1)
    assert.ok(
      credibilities.every((one, i) => i === 0 || one < (credibilities[i - 1] as number)),
      `${credibilities}`,
    )
    assert.equal(meet(30, seen => seen).credibility('peer'), 1)
  })

  it('is of the like: questions further apart tell less', () => {
    const near = createAgreement()
    const far = createAgreement()
    for (let i = 0; i < 20; i++) {
      near.compare('peer', 'own', trace(), 1, 0.5, -0.5, 1)
      far.compare('peer', 'own', trace(), 0.5, 0.5, -0.5, 1)
    }
    assert.ok(near.credibility('peer') < far.credibility('peer'))
  })

  it('forgets what is taken back', () => {
    const agreement = createAgreement()
    const traces = Array.from({ length: 40 }, trace)
    for (const one of traces) agreement.compare('peer', 'own', one, 1, 0.5, 0.5, 1)
    assert.equal(agreement.standing('peer'), 'proven')
    for (const one of traces) agreement.forget('peer', 'own', one)
    assert.equal(agreement.standing('peer'), 'unproven')
  })

  it('finds out a peer that turns, after whatever it has said before', () => {
    const agreement = meet(20_000, seen => seen)
    let turned = 0
    while (agreement.standing('peer') === 'proven') {
      agreement.compare('peer', 'own', trace(), 1, 0.5, -0.5, 1)
      turned++
      assert.ok(turned < 6_000)
    }
  })
})
