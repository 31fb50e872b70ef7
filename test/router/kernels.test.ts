import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { compileKernel, KERNELS } from '../../router/kernels/build.ts'
import { createDots } from '../../router/kernels/dots.ts'

suite('the kernels', () => {
  for (const name of KERNELS) {
    test(`${name}.wasm is ${name}.wat`, async () => {
      const shipped = readFileSync(new URL(`../../router/kernels/${name}.wasm`, import.meta.url))
      assert.deepEqual(new Uint8Array(shipped), await compileKernel(name), 'npm run kernels compiles it')
    })
  }

  test('dots gives the products with every row of every table, however many dimensions there are', () => {
    const component = fc.float({ min: -2, max: 2, noNaN: true })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }).chain(dimensions => {
          const vector = fc.array(component, { minLength: dimensions, maxLength: dimensions })
          return fc.tuple(vector, fc.array(vector, { maxLength: 9 }), fc.array(vector, { minLength: 1, maxLength: 9 }))
        }),
        ([vector, ...tables]) => {
          const dots = createDots(
            vector.length,
            tables.map(rows => Float32Array.from(rows.flat())),
          )
          const products = dots(Float32Array.from(vector))
          const rows = tables.flat()
          assert.equal(products.length, rows.length)
          for (const [at, row] of rows.entries()) {
            const exact = row.reduce((sum, value, index) => sum + value * (vector[index] as number), 0)
            assert.ok(Math.abs((products[at] as number) - exact) < 1e-4)
          }
        },
      ),
    )
  })
})
