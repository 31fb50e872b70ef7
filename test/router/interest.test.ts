import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createInterest } from '../../router/interest.ts'
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'

const key = (cell: number) => routingKey('0123abcd', 'general', cell)
const [A, B, C, D] = [key(1), key(2), key(3), key(4)]

describe('interest', () => {
  it('joins the first keys, and each once', () => {
    const interest = createInterest({ maxJoined: 2 })
    assert.deepEqual(interest.touch(A, 1, 0), { join: A, joined: true })
    assert.deepEqual(interest.touch(A, 1, 0), { joined: true })
    assert.deepEqual(interest.touch(B, 1, 0), { join: B, joined: true })
    assert.deepEqual(interest.touch(C, 1, 0), { joined: false })
    assert.deepEqual([...interest.joined], [A, B])
  })

  it('gives the place of the lightest to a key that is clearly heavier', () => {
    const interest = createInterest({ maxJoined: 2 })
    interest.touch(A, 8, 0)
    interest.touch(B, 4, 0)
    assert.deepEqual(interest.touch(C, 5, 0), { joined: false }, 'a quarter more is not enough')
    assert.deepEqual(interest.touch(C, 0.1, 0), { join: C, leave: B, joined: true })
    assert.deepEqual(interest.touch(B, 0.1, 0), { joined: false }, 'they do not take turns')
  })

  it('forgets half of a mass in each half-life', () => {
    const interest = createInterest({ maxJoined: 1, halfLifeS: 100 })
    interest.touch(A, 8, 0)
    assert.deepEqual(interest.touch(B, 4.9, 100), { joined: false })
    const later = createInterest({ maxJoined: 1, halfLifeS: 100 })
    later.touch(A, 8, 0)
    assert.deepEqual(later.touch(B, 5.1, 100), { join: B, leave: A, joined: true })
  })

  it('remembers the mass of a bounded number of keys that are not joined', () => {
    for (const [maxTracked, remembered] of [
      [3, true],
      [2, false],
    ] as const) {
      const interest = createInterest({ maxJoined: 1, maxTracked })
      interest.touch(A, 10, 0)
      interest.touch(B, 8, 0)
      interest.touch(C, 9, 0)
      const { joined } = interest.touch(B, 7, 0)
      assert.equal(joined, remembered, `with room for ${maxTracked}`)
    }
  })

  it('forgets the lightest of the others, not the key that was just asked for', () => {
    const interest = createInterest({ maxJoined: 1, maxTracked: 2 })
    interest.touch(A, 10, 0)
    interest.touch(B, 9, 0)
    interest.touch(C, 2, 0)
    assert.ok(interest.touch(C, 11, 0).joined)
  })

  it('leaves what nobody has asked about for long: a side cell sooner than the middle', () => {
    const interest = createInterest({ maxJoined: 2, halfLifeS: 100 })
    interest.touch(A, 1, 0)
    interest.touch(B, 1 / 8, 0)
    assert.deepEqual(interest.expire(200), [])
    assert.deepEqual(interest.expire(201), [B])
    assert.deepEqual(interest.expire(500), [])
    assert.deepEqual(interest.expire(501), [A])
    assert.deepEqual([...interest.joined], [])
    assert.deepEqual(interest.touch(A, 1, 501), { join: A, joined: true })
  })

  it('remembers no more when newcomers push each other out', () => {
    const interest = createInterest({ maxJoined: 1, maxTracked: 2 })
    for (const [index, joining] of [A, B, C, D].entries()) {
      assert.ok(interest.touch(joining, 2 ** index, 0).joined)
    }
    assert.deepEqual(interest.touch(A, 9.5, 0), { joined: false }, 'its mass of 1 is forgotten')
  })

  it('passes over what is less than 1.5 % of all that is asked, and leaves what has become half of that', () => {
    const interest = createInterest({ maxJoined: 3 })
    interest.touch(A, 0.75, 0)
    interest.touch(B, 99.25, 0)
    assert.deepEqual(interest.expire(0), [], 'three quarters of a hundredth stay')
    assert.deepEqual(interest.touch(C, 1.5, 0), { joined: false })
    assert.deepEqual(interest.touch(C, 0.1, 0), { join: C, joined: true })
    assert.deepEqual(interest.expire(0), [A])
    assert.deepEqual([...interest.joined], [B, C])
  })

  it('never joins more than it may, and tells of every change', () => {
    const touches = fc.array(fc.tuple(fc.nat(30), fc.double({ min: 0.01, max: 10, noNaN: true }), fc.nat(1000)))
    fc.assert(
      fc.property(touches, fc.integer({ min: 1, max: 5 }), (list, maxJoined) => {
        const interest = createInterest({ maxJoined, maxTracked: 8, halfLifeS: 500 })
        const told = new Set<RoutingKey>()
        let now = 0
        for (const [cell, mass, later] of list) {
          now += later
          const { join, leave, joined } = interest.touch(key(cell), mass, now)
          if (leave) assert.ok(told.delete(leave))
          if (join) told.add(join)
          assert.equal(joined, told.has(key(cell)))
          assert.deepEqual(new Set(interest.joined), told)
          assert.ok(told.size <= maxJoined)
        }
      }),
    )
  })
})
