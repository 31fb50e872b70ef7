import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { corpus, fuzz, replay, targets } from './run.ts'

/** Of each target; `npm run fuzz` takes as long as it is told. */
const SECONDS = 2
/** The same inputs in every run. */
const SEED = 20260101

suite('fuzzing', () => {
  for (const name of Object.keys(targets)) {
    test(`${name}: nothing is wrong with what was once found, nor with a few seconds of new inputs`, async () => {
      assert.deepEqual(await replay(name), [])
      const { inputs, faults } = await fuzz(name, { seconds: SECONDS, seed: SEED })
      assert.deepEqual(faults.slice(0, 3), [])
      assert.ok(inputs > 10, `${inputs} inputs`)
    })
  }

  test('every kept input says which target it is for, and why it is kept', () => {
    for (const { target, why } of corpus) {
      assert.ok(Object.hasOwn(targets, target), target)
      assert.ok(why.length > 10)
    }
  })
})
