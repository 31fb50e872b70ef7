import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adjustmentBound, PRIOR_SHARES } from '../../router/synthesis/trust.ts'

describe('trust', () => {
  it('lets the network say more as local outcomes could prove it wrong', () => {
    const bounds = [0, 5, 10, 100, 1e6].map(adjustmentBound)
    assert.deepEqual(bounds, [0.1, 0.2, 0.3, 0.3, 0.3])
  })

  it('deals out the whole of the say', () => {
    const { local, robust, network } = PRIOR_SHARES
    assert.ok(Math.abs(local + robust + network - 1) < 1e-12)
    assert.ok(Math.min(local, robust, network) > 0)
  })
})
