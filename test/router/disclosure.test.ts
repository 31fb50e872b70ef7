import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type CountReference,
  coarsened,
  type DisclosureProfile,
  departureTime,
  disclose,
  isShared,
  mayStillLeave,
  profiles,
  type SharedDomains,
} from '../../router/disclosure.ts'
import { referenceTexts } from '../../router/fingerprint.ts'
import { type Declared, SHIPPED_DOMAINS } from '../../router/labels.ts'
import type { Outcome } from '../../router/outcome.ts'
import { expiresAt, type Packet } from '../../router/packet.ts'
import { anOutcome, aPacket, NOW, shippedSpace } from '../support/router-support.ts'

const FULL = 'a94a939de36cb2e6'
const atOnce: DisclosureProfile = { k: 20, delayMeanS: 0, delayCapS: 0 }

function counts(two: number, three: number, four: number): CountReference {
  return (_code, digits) => ({ 2: two, 3: three, 4: four })[digits]
}

function disclosed(
  changes: Partial<Outcome> = {},
  given: {
    count?: CountReference
    profile?: DisclosureProfile
    domains?: SharedDomains
    declared?: Declared
    left?: Packet[]
  } = {},
): Packet | undefined {
  const packet = said(changes, given)
  return typeof packet === 'string' ? undefined : packet
}

function said(changes: Partial<Outcome>, given: Parameters<typeof disclosed>[1] & { dice?: number } = {}) {
  const { count = counts(100, 100, 100), profile = atOnce, domains, declared, left = [], dice = 0.5 } = given
  const door = { space: '0123abcd', referenceTexts: count, noise: () => dice }
  return disclose(anOutcome(changes), door, { profile, domains, declared, ttlHours: 168 }, left)
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
      assert.equal(disclosed({ code: FULL }, { count: counts(two, three, four) })?.code, code)
    })
  }

  it('is never longer than the outcome knows it', () => {
    assert.equal(disclosed({ code: 'a94' })?.code, 'a94')
    assert.equal(disclosed({ code: 'a9' })?.code, 'a9')
  })

  it('of the shipped space leaves alike for at least k reference texts, also to who knows what would leave of the others', async () => {
    const space = await shippedSpace()
    const count: CountReference = (code, digits) => referenceTexts(space, code, digits)
    for (const k of [20, 50]) {
      const texts = new Map<string | undefined, number>()
      let [whole, deepest] = [0, 0]
      for (let prefix = 0; prefix < 65_536; prefix++) {
        const code = prefix.toString(16).padStart(4, '0')
        const told = coarsened(code, k, count)
        const alike = count(code, 4)
        texts.set(told, (texts.get(told) ?? 0) + alike)
        assert.ok(told === undefined || (code.startsWith(told) && count(told, told.length as 2) >= k))
        if (told === undefined) assert.ok(count(code, 2) < k)
        whole += alike
        deepest = Math.max(deepest, told?.length ?? 0)
      }
      const few = [...texts].filter(([told, alike]) => told !== undefined && alike < k)
      assert.deepEqual(few, [])
      assert.equal(deepest, 4)
      assert.ok((texts.get(undefined) ?? 0) < whole / 100, 'of nearly all something leaves')
    }
  })

  it('of those that may tell more the smallest stops, where too few others do', () => {
    const of =
      (lasts: Record<string, number>): CountReference =>
      (code, digits) =>
        digits === 2 ? 200 : digits === 3 ? (lasts[code.charAt(2)] ?? 0) : 0
    const told = (count: CountReference, codes: string[]) => codes.map(code => coarsened(code, 20, count))
    const [few, enough] = [of({ 1: 19, 2: 100, 3: 40, 4: 40 }), of({ 1: 19, 2: 100, 3: 40, 4: 40, 5: 1 })]
    assert.deepEqual(told(few, ['a91', 'a92', 'a93', 'a94', 'a95']), ['a9', 'a92', 'a9', 'a94', 'a9'])
    assert.deepEqual(told(enough, ['a91', 'a92', 'a93', 'a94', 'a95']), ['a9', 'a92', 'a93', 'a94', 'a9'])
    const even: CountReference = (_code, digits) => (digits === 2 ? 320 : 20)
    assert.deepEqual(told(even, ['a9f', 'a90']), ['a9f', 'a90'], 'where all may, none has to stop')
  })

  it('is whole, and leaves at once, in an open lab', () => {
    const open = disclosed({ code: FULL }, { profile: profiles.open, count: counts(0, 0, 0) })
    assert.equal(open?.code, FULL)
    assert.equal(
      departureTime(profiles.open, () => 0.999_999, NOW),
      NOW,
    )
  })
})

describe('a disclosed packet', () => {
  it('tells confidence in the steps of its profile, if at all, and time in hours', () => {
    const steps: DisclosureProfile = { ...atOnce, confidenceSteps: 20 }
    for (const [known, told] of [
      [0.5, 0.5],
      [0.524, 0.5],
      [0.526, 0.55],
      [0.99, 1],
      [0.012, 0],
    ]) {
      assert.equal(disclosed({ confidence: known as number }, { profile: steps })?.confidence, told)
    }
    assert.equal(disclosed({ confidence: 0.9 }, { profile: { ...steps, confidenceSteps: 4 } })?.confidence, 1)
    assert.equal(disclosed({}, { profile: steps })?.confidence, undefined)
    assert.equal(disclosed({ confidence: 0.9 }, { profile: profiles.open })?.confidence, 0.9)
    for (const profile of [profiles.standard, profiles.clinical]) {
      assert.equal(disclosed({ confidence: 0.9 }, { profile })?.confidence, undefined)
    }
    assert.equal(disclosed({ time: NOW + 3599 })?.time, NOW)
  })

  it('says the rest as it was observed, under its space and for its hours', () => {
    const outcome = anOutcome({
      code: FULL,
      correction: 'format',
      strategy: 'cot',
      signal: 0,
      revision: 2,
    })
    const packet = disclose(
      outcome,
      { space: 'fedcba98', referenceTexts: counts(20, 0, 0), noise: () => 0 },
      { profile: atOnce, ttlHours: 24 },
    )
    assert.deepEqual(packet, { ...outcome, revision: 0, code: 'a9', space: 'fedcba98', ttlHours: 24 })
  })

  it('counts what has left of its answer, and tells nothing of minds that changed before', () => {
    const first = disclosed({ revision: 7 })
    assert.equal(first?.revision, 0)
    const second = disclosed({ revision: 9, signal: 0 }, { left: [first] })
    assert.equal(second?.revision, 1)
    assert.equal(disclosed({ revision: 30, withdrawn: true }, { left: [first, second as Packet] })?.revision, 2)
  })
})

describe('the delay before departure', () => {
  const profile = { k: 1, delayMeanS: 600, delayCapS: 3600 }
  const delay = (dice: number) => departureTime(profile, () => dice, NOW) - NOW

  it('is exponential, with the mean of the profile and never above its cap', () => {
    assert.equal(delay(0), 0)
    assert.equal(delay(0.5), Math.floor(600 * Math.LN2))
    assert.equal(delay(0.999_999), 3600)
    const delays = Array.from({ length: 10_000 }, (_, index) => delay((index + 0.5) / 10_000))
    const mean = delays.reduce((sum, value) => sum + value, 0) / delays.length
    assert.ok(Math.abs(mean - 600 * (1 - Math.exp(-6))) < 2, `the mean is ${mean}`)
  })

  it('stays within its bounds, whatever the dice', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), dice => {
        assert.ok(delay(dice) >= 0 && delay(dice) <= 3600)
      }),
    )
  })
})

describe('a shared domain', () => {
  it('is one that is named, or under one that is, unless it or one above it stays here', () => {
    const domains = { only: ['clinical', 'legal.tax'], never: ['clinical.psychiatry', 'legal.tax.fraud'] }
    const shared = ['clinical', 'clinical.oncology', 'legal.tax', 'legal.tax.vat']
    const not = ['clinicals', 'legal', 'general', 'clinical.psychiatry', 'clinical.psychiatry.child', 'legal.tax.fraud']
    for (const name of shared) assert.ok(isShared(name, domains), name)
    for (const name of not) assert.ok(!isShared(name, domains), name)
  })

  it('is any, but for those that stay here, where none is named', () => {
    assert.ok(isShared('general', {}))
    assert.ok(!isShared('general', { never: ['general'] }))
  })

  it('is the only kind that leaves', () => {
    assert.equal(said({ domain: 'legal' }, { domains: { only: ['clinical'] } }), 'domain')
    assert.equal(said({ domain: 'legal' }, { domains: { never: ['legal'] } }), 'domain')
    assert.equal(disclosed({ domain: 'legal' }, { domains: { only: ['legal'] } })?.domain, 'legal')
  })
})

describe('a withdrawal', () => {
  const left = aPacket({
    code: 'a94',
    signal: 0.7,
    confidence: 0.5,
    correction: 'format',
    strategy: 'cot',
    ttlHours: 300,
  })

  it('repeats what left as far as it names it, says no more, and does not expire before it', () => {
    const { confidence: _, correction: __, strategy: ___, ...bare } = left
    const packet = disclosed({ withdrawn: true, revision: 3, signal: 1, time: NOW + 7200 }, { left: [left] })
    assert.deepEqual(packet, { ...bare, signal: 0, withdrawn: true, revision: 1, time: NOW + 7200, ttlHours: 298 })
    assert.ok(packet && expiresAt(packet) >= expiresAt(left))
  })

  it('leaves though nothing else of its kind may any more', () => {
    const given = { left: [left], count: counts(0, 0, 0), domains: { never: [left.domain] } }
    assert.equal(disclosed({ withdrawn: true, revision: 1 }, given)?.code, left.code)
  })

  it('is not sent of what never left, nor twice', () => {
    assert.equal(said({ withdrawn: true, revision: 1 }), 'unchanged')
    assert.equal(said({ withdrawn: true, revision: 2 }, { left: [left, { ...left, withdrawn: true }] }), 'unchanged')
  })
})

describe('a noisy packet', () => {
  const noisy: DisclosureProfile = { ...atOnce, epsilon: 2 }
  const full: Partial<Outcome> = { signal: 0.2, confidence: 0.5, correction: 'factual', strategy: 'cot' }

  it('says one bit, how noisy it is, and nothing that would undo it', () => {
    const packet = disclosed({ ...full, code: FULL }, { profile: noisy })
    assert.deepEqual(packet, aPacket({ code: 'a94a', signal: 0, epsilon: 2 }))
  })

  it('says 1 as often as its signal and the noise would have it', () => {
    const p = 1 / (1 + Math.exp(2))
    for (const signal of [0, 0.2, 1]) {
      const ones = Array.from({ length: 1000 }, (_, index) =>
        said({ signal }, { profile: noisy, dice: index / 1000 }),
      ).filter(packet => typeof packet !== 'string' && packet.signal === 1).length
      assert.ok(Math.abs(ones / 1000 - (p + (1 - 2 * p) * signal)) <= 0.001, `${ones} of 1000 at ${signal}`)
    }
  })

  it('is the last word before it leaves, with the same dice, and the only one of its answer when it has left', () => {
    const first = disclosed({ observer: 'e', signal: 1 }, { profile: noisy })
    assert.equal(first?.signal, 1)
    assert.equal(disclosed({ observer: 'h', signal: 0 }, { profile: noisy })?.signal, 0, 'before it has left')
    const taken = { ...first, signal: 0, revision: 1, withdrawn: true }
    for (const left of [[first], [first, taken], [{ ...first, epsilon: 4 as const }], [aPacket()]]) {
      for (const observer of ['e', 'h'] as const) {
        for (const signal of [0, 1]) {
          assert.equal(said({ observer, signal, revision: 1 }, { profile: noisy, left }), 'unchanged')
        }
      }
    }
    assert.equal(disclosed({ withdrawn: true, revision: 5 }, { profile: noisy, left: [first] })?.revision, 1)
  })

  it('is never that of a rule, which speaks only where it found fault', () => {
    assert.equal(said({ observer: 'i', signal: 0 }, { profile: noisy }), 'guess')
    assert.equal(disclosed({ observer: 'h', signal: 0, revision: 1 }, { profile: noisy })?.revision, 0)
    assert.equal(disclosed({ observer: 'i', signal: 0 })?.observer, 'i', 'where signals leave in clear')
  })
})

describe('a label that a client chose', () => {
  const models = new Map([['llama-3.1-8b-instruct', 'llama-3.1-8b-instruct']])
  const declared: Declared = {
    domain: name => ['acme', 'clinical.oncology'].includes(name),
    strategy: name => ['faq', 'forum', 'a.b'].includes(name),
    model: variant => models.get(variant),
  }
  const strict: DisclosureProfile[] = [profiles.standard, profiles.clinical]
  const shared = { count: counts(100, 100, 100), declared }

  for (const profile of strict) {
    const told = (changes: Partial<Outcome>) => disclosed(changes, { ...shared, profile })
    const name = profile.epsilon === undefined ? 'standard' : 'clinical'

    it(`leaves as the nearest domain above it that is declared, under ${name}`, () => {
      for (const [domain, as] of [
        ['clinical', 'clinical'],
        ['clinical.john-doe', 'clinical'],
        ['clinical.oncology.4711', 'clinical.oncology'],
        ['clinical.oncology', 'clinical.oncology'],
        ['clinical-john', 'general'],
        ['clinical..x', 'clinical'],
        ['patient-john-doe-4711', 'general'],
        ['john.clinical', 'general'],
        ['acme.john', 'acme'],
        ['general.x', 'general'],
      ] as const) {
        assert.equal(told({ domain })?.domain, as, domain)
      }
    })

    it(`keeps the outcome here where no server is known to have its model, under ${name}`, () => {
      for (const model of ['john.doe-example.com', 'tiny:user-4711-john', 'patient-john-doe-ss~6552']) {
        assert.equal(said({ model }, { ...shared, profile }), 'model')
      }
      assert.equal(told({})?.model, 'llama-3.1-8b-instruct')
      assert.equal(told({ model: 'unknown' })?.model, 'unknown', 'which no client wrote')
      const only: Declared = { ...declared, model: () => 'mistral-7b' }
      assert.equal(disclosed({ model: 'john' }, { ...shared, profile, declared: only })?.model, 'mistral-7b')
    })

    it(`is nothing where nothing is declared, under ${name}`, () => {
      const bare = { count: shared.count, profile }
      assert.equal(said({}, bare), 'model')
      assert.equal(disclosed({ model: 'unknown', domain: 'acme' }, bare)?.domain, 'general')
    })
  }

  it('is left out where it is a strategy that is not declared, whole or part by part', () => {
    const told = (strategy: string) => disclosed({ strategy }, { ...shared, profile: profiles.standard })
    assert.equal(told('faq')?.strategy, 'faq')
    assert.equal(told('faq.forum')?.strategy, 'faq.forum')
    assert.equal(told('a.b')?.strategy, 'a.b')
    for (const strategy of ['ward-7-dr-smith', 'faq.john', 'a', 'faq.', 'fa']) {
      const packet = told(strategy)
      assert.ok(packet && !('strategy' in packet), strategy)
    }
  })

  it('leaves as it is in an open lab', () => {
    const packet = disclosed(
      { domain: 'john.doe', model: 'john', strategy: 'ward-7' },
      { ...shared, profile: profiles.open },
    )
    assert.deepEqual([packet?.domain, packet?.model, packet?.strategy], ['john.doe', 'john', 'ward-7'])
  })

  it('stays here if either it or what it would leave as does', () => {
    const kept = (domain: string, domains: SharedDomains) =>
      said({ domain }, { ...shared, profile: profiles.standard, domains }) === 'domain'
    assert.ok(kept('clinical.psychiatry', { never: ['clinical.psychiatry'] }))
    assert.ok(!kept('clinical.john', { never: ['clinical.psychiatry'] }))
    assert.ok(kept('john', { never: ['general'] }))
    assert.ok(kept('john', { only: ['general'] }), 'a wider name does not let it out')
    assert.ok(!kept('acme.john', { only: ['acme'] }))
  })

  it('is never told of a packet that was made under freer settings', () => {
    const may = (changes: Partial<Packet>) =>
      mayStillLeave(aPacket({ code: 'a94a', ...changes }), shared.count, { profile: profiles.standard, declared })
    assert.ok(may({ domain: 'acme', strategy: 'faq' }))
    assert.ok(!may({ domain: 'john' }))
    assert.ok(!may({ domain: 'acme.john' }))
    assert.ok(!may({ strategy: 'ward-7' }))
  })

  it('needs no declaration where it is a common field, spelt as a domain must be', () => {
    assert.ok(SHIPPED_DOMAINS.size <= 30)
    for (const name of SHIPPED_DOMAINS) assert.match(name, /^[a-z]{1,16}$/)
  })
})

describe('a packet that waited while settings became stricter', () => {
  const count = counts(100, 50, 20)
  const may = (packet: Partial<Packet>, profile: DisclosureProfile, domains = {}) =>
    mayStillLeave(aPacket(packet), count, { profile, domains })

  it('leaves if it could have been made under the new ones', () => {
    assert.ok(may({ code: FULL }, profiles.open))
    assert.ok(may({ code: 'a94a' }, profiles.standard))
    assert.ok(may({ code: 'a94', epsilon: 2 }, profiles.clinical))
    assert.ok(may({ code: 'a94a', epsilon: 1 }, profiles.standard))
  })

  it('does not if its code is too long, its noise too little, or its domain stays here', () => {
    assert.ok(!may({ code: 'a94', confidence: 0.5 }, profiles.standard))
    assert.ok(may({ code: 'a94', confidence: 0.5 }, profiles.open))
    assert.ok(!may({ code: 'a94', epsilon: 2, observer: 'i' }, profiles.clinical))
    assert.ok(!may({ code: FULL }, profiles.standard))
    assert.ok(!may({ code: 'a94a', epsilon: 2 }, profiles.clinical))
    assert.ok(!may({ code: 'a94' }, profiles.clinical))
    assert.ok(!may({ code: 'a94', epsilon: 4 }, profiles.clinical))
    assert.ok(!may({ code: 'a9' }, profiles.open, { never: ['general'] }))
  })

  it('always leaves when it takes something back', () => {
    assert.ok(may({ code: FULL, withdrawn: true }, profiles.clinical, { only: ['legal'] }))
  })
})
