import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import fc from 'fast-check'
import { createCodeIndex } from '../../router/code-index.ts'
import { decode, dotTable, project, similarity } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { shippedSpace } from '../support/router-support.ts'

suite('an index of codes', () => {
  let space: Space
  before(async () => {
    space = await shippedSpace()
  })

  const cells = ['00', 'a9', 'ff']
  const code = fc
    .tuple(fc.constantFrom(...cells), fc.array(fc.constantFrom(...'0123456789abcdef'), { maxLength: 14 }))
    .map(([cell, digits]) => cell + digits.join(''))
  const component = fc.double({ min: -1, max: 1, noNaN: true })

  test('compares as similarity does, codes of any length, whatever came and went', () => {
    fc.assert(
      fc.property(
        fc.array(code, { maxLength: 120 }),
        fc.array(fc.nat(), { maxLength: 100 }),
        fc.array(code, { maxLength: 40 }),
        fc.array(component, { minLength: space.inputDimensions, maxLength: space.inputDimensions }),
        (first, gone, later, raw) => {
          const table = dotTable(space, project(space, Float32Array.from(raw)))
          const index = createCodeIndex<{ text: string; place: number }>(200)
          const held = new Set<{ text: string; place: number }>()
          const add = (text: string) => {
            const item = { text, place: 0 }
            index.add(item, decode(space, text))
            held.add(item)
          }
          first.forEach(add)
          for (const at of gone) {
            const item = [...held][at % Math.max(1, held.size)]
            if (!item) continue
            index.remove(item, Number.parseInt(item.text.slice(0, 2), 16))
            held.delete(item)
          }
          later.forEach(add)
          const found = index.near(table, [0x00, 0xff, 0xa9], -2, 1_000)
          for (const { item, similarity: seen } of found) {
            const exact = similarity(table, decode(space, item.text))
            assert.ok(Math.abs(seen - exact) < 5e-4, `${item.text}: ${seen}, not ${exact}`)
          }
          assert.deepEqual(new Set(found.map(({ item }) => item)), held)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('gives none of another cell and none that is less alike', () => {
    const table = dotTable(space, project(space, new Float32Array(space.inputDimensions).fill(0.01)))
    const index = createCodeIndex<{ text: string; place: number }>(200)
    for (let i = 0; i < 200; i++) {
      const text = `${cells[i % 3]}${(i * 2_654_435_761).toString(16).slice(0, 6)}`
      index.add({ text, place: 0 }, decode(space, text))
    }
    const all = index.near(table, [0xa9], -2, 200)
    const middle = all.map(({ similarity: seen }) => seen).sort((a, b) => b - a)[20] as number
    const near = index.near(table, [0xa9], middle, 200)
    assert.ok(all.length === 67 && near.length === 21, `${all.length}, ${near.length}`)
    assert.ok(near.every(({ item, similarity: seen }) => item.text.startsWith('a9') && seen >= middle))
  })

  test('removing what is not there changes nothing', () => {
    const index = createCodeIndex<{ place: number }>(10)
    const one = { place: 0 }
    index.add(one, decode(space, 'a9'))
    index.remove({ place: 0 }, 0xa9)
    index.remove(one, 0xaa)
    assert.equal(index.near(new Float32Array(480), [0xa9], -1, 10).length, 1)
  })
})
