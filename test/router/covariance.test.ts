import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createEvidenceIndex } from '../../router/evidence.ts'
import type { Standing } from '../../router/synthesis/agreement.ts'
import { covarianceOf, factorOf, type Group, type Kind } from '../../router/synthesis/covariance.ts'
import { FITTED, kernel, kernelSteps, stepOf } from '../../router/synthesis/kernel.ts'
import { decodeCell, evidenceIn, NOW, someEvidence } from '../support/router-support.ts'

const models = ['llama-3.1-8b', 'llama-3.1-70b', 'qwen2.5-7b'] as const
const kinds: Kind[] = models.map((model, at) => {
  const index = createEvidenceIndex(decodeCell, 1)
  index.put(someEvidence({ model, time: NOW }))
  const [item] = evidenceIn(index, 0xa9)
  assert.ok(item)
  return { at, item, factor: 1, rates: { own: 0.5, all: 0.5, robust: 0.5 } }
})

const anyGroup: fc.Arbitrary<Group> = fc
  .record({
    kind: fc.constantFrom(...kinds),
    cell: fc.integer({ min: 0, max: 3 }),
    sharpness: fc.constantFrom(1, 0.8),
    place: fc.nat(5),
    speaker: fc.integer({ min: 1, max: 4 }),
    standing: fc.constantFrom<Standing>('self', 'proven', 'unproven'),
    similarity: fc.double({ min: 0.4, max: 1, noNaN: true }),
    outcomes: fc.integer({ min: 1, max: 5 }),
    precision: fc.double({ min: 0.01, max: 5, noNaN: true }),
  })
  .map(({ cell, sharpness, ...group }) => {
    // What is said of one code lies in one cell, and is as like the question.
    const similarity = group.place > 0 ? 0.4 + group.place / 10 : group.similarity
    const item = { ...group.kind.item, cell: group.place > 0 ? group.place : cell, sharpness }
    return { ...group, item, similarity, own: 0, all: 0, robust: 0, covariance: 0, voices: [] }
  })

/** As docs/synthesis.md has it, of two different groups. */
function written(a: Group, b: Group): number {
  const rests = Math.sqrt(1 - a.similarity ** 2) * Math.sqrt(1 - b.similarity ** 2)
  const common = a.item.cell === b.item.cell ? FITTED.sameCell : FITTED.otherCell
  const likeness = a.place === b.place ? 1 : a.similarity * b.similarity + common * rests
  const strangers = a.standing === 'unproven' && b.standing === 'unproven'
  const same = a.standing === b.standing && a.standing !== 'self' && a.speaker === b.speaker
  const biases = (strangers || same ? FITTED.peerBias : 0) + (strangers && same ? FITTED.strangerBias : 0)
  const alike = kernel(likeness * a.item.sharpness * b.item.sharpness)
  return FITTED.amplitude * alike * factorOf(a.kind.item, b.kind.item, FITTED) + biases
}

describe('the covariance of what is said near a question', () => {
  it('is what is written of it, for however many groups, whatever was asked before', () => {
    // A number is one peer, whose standing is the same in all that it says.
    const standings = ['self', 'unproven', 'unproven', 'proven', 'proven'] as const
    const consistent = anyGroup.map(group => ({ ...group, standing: standings[group.speaker] ?? group.standing }))
    const ours = anyGroup.map(group => ({ ...group, standing: 'self' as const, speaker: 0 }))
    fc.assert(
      fc.property(fc.array(fc.oneof(consistent, ours), { maxLength: 70 }), groups => {
        const matrix = covarianceOf(groups, kinds, FITTED)
        const n = groups.length
        for (const [row, a] of groups.entries()) {
          for (const [column, b] of groups.slice(0, row).entries()) {
            const told = matrix[row * n + column] as number
            assert.ok(Math.abs(told - written(a, b)) <= 0.001, `${told} for ${written(a, b)}`)
          }
          const bias = a.standing === 'self' ? 0 : FITTED.peerBias
          const itsOwn = a.standing === 'unproven' ? FITTED.strangerBias : 0
          const alike = kernel(a.item.sharpness ** 2)
          const variance = alike + (1 - alike) / a.outcomes + bias + itsOwn + 1 / a.precision
          assert.ok(Math.abs((matrix[row * n + row] as number) - variance) < 1e-9)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('takes its kernel from a table that is right to within 0.1 %, and ends where similarity does', () => {
    const steps = kernelSteps(FITTED)
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), similarity => {
        const ratio = (steps[stepOf(similarity)] as number) / kernel(similarity)
        assert.ok(Math.abs(ratio - 1) < 0.001, `${ratio}`)
      }),
    )
    assert.deepEqual([steps[stepOf(1 + 1e-9)], steps[stepOf(-1)]], [1, kernel(0)])
  })
})
