import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import fc from 'fast-check'
import { createCellColumn, pairTable } from '../../router/cell-column.ts'
import { decode, dotTable, project, similarity } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { shippedSpace } from '../support/router-support.ts'

suite('a column of codes', () => {
  let space: Space
  before(async () => {
    space = await shippedSpace()
  })

  test('compares as similarity does, codes of any length, whatever came and went', () => {
    const code = fc
      .array(fc.constantFrom(...'0123456789abcdef'), { maxLength: 14 })
      .map(digits => `a9${digits.join('')}`)
    const components = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 72, maxLength: 72 })
    fc.assert(
      fc.property(
        fc.array(code, { maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        components,
        (codes, gone, raw) => {
          const table = dotTable(space, project(space, Float32Array.from(raw)))
          const held = codes.map(text => ({ text }))
          const column = createCellColumn<{ text: string }>(0xa9)
          for (const item of held) column.add(item, decode(space, item.text))
          for (const index of gone) {
            const [item] = held.splice(index % Math.max(1, held.length), 1)
            if (item) column.remove(item)
          }
          const similarities = new Float64Array(held.length)
          column.compare(pairTable(table), similarities, 0)
          assert.equal(column.size, held.length)
          const found = new Set<{ text: string }>()
          for (const [slot, similar] of similarities.entries()) {
            const item = column.at(slot)
            found.add(item)
            assert.ok(Math.abs(similar - similarity(table, decode(space, item.text))) < 1e-9)
          }
          assert.deepEqual(found, new Set(held))
        },
      ),
      { numRuns: 60 },
    )
  })
})
