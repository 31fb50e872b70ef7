import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { adjustmentBound, capped, MAX_PEER_WEIGHT } from '../../router/synthesis/trust.ts'

describe('trust', () => {
  it("cuts a peer's weight to the cap and keeps what it says per weight", () => {
    const weight = fc.double({ min: 0.001, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(weight, fc.double({ min: -1, max: 1, noNaN: true }), (total, mean) => {
        const voice = capped({ weight: total, residual: total * mean })
        assert.equal(voice.weight, Math.min(total, MAX_PEER_WEIGHT))
        assert.ok(Math.abs(voice.residual / voice.weight - mean) < 1e-9)
      }),
    )
  })

  it('lets the network say more as local outcomes could prove it wrong', () => {
    const bounds = [0, 19, 20, 99, 100, 1e6].map(adjustmentBound)
    assert.deepEqual(bounds, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
  })
})
