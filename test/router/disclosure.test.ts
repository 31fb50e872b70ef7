import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type CountReference, type DisclosureProfile, disclose, profiles } from '../../router/disclosure.ts'
import { referenceTexts } from '../../router/fingerprint.ts'
import type { Outcome } from '../../router/outcome.ts'
import { anOutcome, NOW, shippedSpace } from '../support/router-support.ts'

const FULL = 'a94a939de36cb2e6'
const atOnce: DisclosureProfile = { k: 20, delayMeanS: 0, delayCapS: 0 }

function counts(two: number, three: number, four: number): CountReference {
  return (_code, digits) => ({ 2: two, 3: three, 4: four })[digits]
}

function disclosed(
  changes: Partial<Outcome> = {},
  given: { count?: CountReference; profile?: DisclosureProfile; random?: () => number; now?: number } = {},
) {
  const { count = counts(100, 100, 100), profile = atOnce, random = () => 0.5, now = NOW } = given
  return disclose(anOutcome(changes), { space: '0123abcd', referenceTexts: count, random }, profile, 168, now)
}

describe('the disclosed fingerprint', () => {
  const cases: [number, number, number, string | undefined][] = [
    [100, 50, 20, 'a94a'],
    [100, 50, 19, 'a94'],
    [100, 19, 19, 'a9'],
    [20, 0, 0, 'a9'],
    [19, 19, 19, undefined],
    [0, 0, 0, undefined],
  ]
  for (const [two, three, four, code] of cases) {
    it(`is ${code ?? 'withheld'} where ${two}, ${three} and ${four} reference texts are alike and k is 20`, () => {
      assert.equal(disclosed({ code: FULL }, { count: counts(two, three, four) })?.packet.code, code)
    })
  }

  it('is never longer than the outcome knows it', () => {
    assert.equal(disclosed({ code: 'a94' })?.packet.code, 'a94')
    assert.equal(disclosed({ code: 'a9' })?.packet.code, 'a9')
  })

  it('of the shipped space is shared by at least k reference texts, and no longer one would be', async () => {
    const space = await shippedSpace()
    const count: CountReference = (code, digits) => referenceTexts(space, code, digits)
    const code = fc.stringMatching(/^[0-9a-f]{16}$/)
    let seen = 0
    fc.assert(
      fc.property(code, fc.constantFrom(2, 20, 50), (full, k) => {
        const depth = disclosed({ code: full }, { count, profile: { ...atOnce, k } })?.packet.code.length ?? 0
        for (const digits of [2, 3, 4] as const) assert.equal(digits <= depth, count(full, digits) >= k)
        seen = Math.max(seen, depth)
      }),
      { numRuns: 500 },
    )
    assert.ok(seen >= 3, 'some code is disclosed beyond its cell')
  })

  it('is whole, and leaves at once, in an open lab', () => {
    const open = disclosed({ code: FULL }, { profile: profiles.open, count: counts(0, 0, 0), random: () => 0.999_999 })
    assert.equal(open?.packet.code, FULL)
    assert.equal(open?.dueAt, NOW)
  })
})

describe('a disclosed packet', () => {
  it('tells confidence in steps of 0.05 and time in hours', () => {
    for (const [known, told] of [
      [0.5, 0.5],
      [0.524, 0.5],
      [0.526, 0.55],
      [0.99, 1],
      [0.012, 0],
    ]) {
      assert.equal(disclosed({ confidence: known as number })?.packet.confidence, told)
    }
    assert.equal(disclosed()?.packet.confidence, undefined)
    assert.equal(disclosed({ time: NOW + 3599 })?.packet.time, NOW)
  })

  it('says the rest as it was observed, under its space and for its hours', () => {
    const outcome = anOutcome({
      code: FULL,
      correction: 'format',
      strategy: 'cot',
      signal: 0,
      revision: 2,
      withdrawn: true,
    })
    const packet = disclose(
      outcome,
      { space: 'fedcba98', referenceTexts: counts(20, 0, 0), random: () => 0 },
      atOnce,
      24,
      NOW,
    )?.packet
    assert.deepEqual(packet, { ...outcome, code: 'a9', space: 'fedcba98', ttlHours: 24 })
  })
})

describe('the delay before departure', () => {
  const profile = { k: 1, delayMeanS: 600, delayCapS: 3600 }
  const delay = (dice: number) => (disclosed({}, { profile, random: () => dice })?.dueAt ?? Number.NaN) - NOW

  it('is exponential, with the mean of the profile and never above its cap', () => {
    assert.equal(delay(0), 0)
    assert.equal(delay(0.5), Math.floor(600 * Math.LN2))
    assert.equal(delay(0.999_999), 3600)
    const delays = Array.from({ length: 10_000 }, (_, index) => delay((index + 0.5) / 10_000))
    const mean = delays.reduce((sum, value) => sum + value, 0) / delays.length
    assert.ok(Math.abs(mean - 600 * (1 - Math.exp(-6))) < 2, `the mean is ${mean}`)
  })

  it('counts from now, not from when the answer was given', () => {
    const late = disclosed({ time: NOW - 86_400 }, { profile, random: () => 0, now: NOW + 5 })
    assert.equal(late?.dueAt, NOW + 5)
  })

  it('stays within its bounds, whatever the dice', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), dice => {
        assert.ok(delay(dice) >= 0 && delay(dice) <= 3600)
      }),
    )
  })
})
