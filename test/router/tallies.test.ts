import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createTallies } from '../../router/tallies.ts'

suite('tallies', () => {
  test('a loud author counts for the cap, and its average stays', () => {
    const tallies = createTallies(() => 20)
    for (let said = 0; said < 1_000; said++) tallies.count('m/', 'loud', said % 4 === 0 ? 1 : 0, 1)
    const { n, sum } = tallies.all('m/')
    assert.ok(Math.abs(n - 20) < 1e-6 && Math.abs(sum / n - 0.25) < 1e-6)
    assert.deepEqual(tallies.of('m/', 'loud'), { n: 1_000, sum: 250 })
  })

  test('are what a recount gives, whatever comes and goes', () => {
    const said = fc.record({
      author: fc.constantFrom('', 'a', 'b'),
      signal: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(said, { maxLength: 60 }), fc.array(fc.nat(), { maxLength: 30 }), (all, removals) => {
        const cap = (author: string) => (author === '' ? Number.POSITIVE_INFINITY : 5)
        const tallies = createTallies(cap)
        const held = [...all]
        for (const { author, signal } of all) tallies.count('m/', author, signal, 1)
        for (const index of removals) {
          const [gone] = held.splice(index % Math.max(1, held.length), 1)
          if (gone) tallies.count('m/', gone.author, gone.signal, -1)
        }
        const expected = { n: 0, sum: 0 }
        for (const author of ['', 'a', 'b']) {
          const signals = held.filter(one => one.author === author).map(({ signal }) => signal)
          const scale = Math.min(1, cap(author) / Math.max(1, signals.length))
          expected.n += scale * signals.length
          expected.sum += scale * signals.reduce((sum, signal) => sum + signal, 0)
        }
        const { n, sum } = tallies.all('m/')
        assert.ok(Math.abs(n - expected.n) < 1e-6 && Math.abs(sum - expected.sum) < 1e-6)
      }),
    )
  })
})
