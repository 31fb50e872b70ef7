import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createGroups } from '../../proxy/feedback/in-groups.ts'
import { Recent } from '../../proxy/recent.ts'

suite('a bounded memory', () => {
  test('knows the last half of its bound at least, and never more than all of it', () => {
    const recent = new Recent<number>(10)
    for (let n = 0; n < 1_000; n++) {
      recent.set(`k${n}`, n)
      assert.ok(recent.size <= 10)
      for (let back = 0; back < 5 && back <= n; back++) assert.equal(recent.get(`k${n - back}`), n - back)
    }
  })

  test('forgets what is deleted, wherever it is, and gives the last value', () => {
    const recent = new Recent<number>(4)
    for (const key of ['a', 'b', 'a']) recent.set(key, recent.size)
    assert.equal(recent.get('a'), 2)
    assert.equal(recent.delete('a'), true)
    assert.equal(recent.get('a'), undefined)
    assert.equal(recent.delete('a'), false)
    assert.deepEqual([...recent.values()], [1])
  })
})

suite('work in groups', () => {
  test('what comes while a group is under way is the next, in order, up to its bound', async () => {
    const done: number[][] = []
    const gate = Promise.withResolvers<void>()
    const groups = createGroups<number, number>(
      async jobs => {
        await gate.promise
        done.push([...jobs])
        return jobs.map(job => job * 10)
      },
      { maxGroup: 4, maxWaiting: 100 },
    )
    const results = [[1], [2, 3], [4, 5], [6], [7, 8, 9, 10, 11, 12]].map(jobs => groups.add(jobs))
    gate.resolve()
    assert.deepEqual(await Promise.all(results), [[10], [20, 30], [40, 50], [60], [70, 80, 90, 100, 110, 120]])
    assert.deepEqual(done.flat(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    assert.ok(done.slice(0, -1).every(group => group.length <= 4))
    await groups.settled()
  })

  test('a group that fails fails for those in it alone, and too many waiting are refused at once', async () => {
    const gate = Promise.withResolvers<void>()
    let first = true
    const groups = createGroups<number, number>(
      async jobs => {
        await gate.promise
        if (first) {
          first = false
          throw new Error('disk full')
        }
        return [...jobs]
      },
      { maxGroup: 2, maxWaiting: 3 },
    )
    const one = groups.add([1])
    const two = groups.add([2, 3])
    await assert.rejects(groups.add([4, 5]), { code: 'ERR_DATABASE_BUSY' })
    gate.resolve()
    await assert.rejects(one, /disk full/)
    assert.deepEqual(await two, [2, 3])
  })
})
