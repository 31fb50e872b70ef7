/** Says what each step from text to similarity costs on this machine, in microseconds. */
import { join } from 'node:path'
import { decode, dotTable, encode, nearestCells, project, similarity } from '../../router/fingerprint.ts'
import { loadSpace } from '../../router/space.ts'
import { embedText } from '../static.ts'
import { BUILT_IN_SPACE } from '../table.ts'

const ROUNDS = 3_000
const REPEATS = 5

const space = await loadSpace(join(import.meta.dirname, '../spaces', BUILT_IN_SPACE))
const words =
  'how may the patient change dose of insulin when glucose falls below 70 mg per decilitre after sport'.split(' ')
const texts = Array.from({ length: ROUNDS }, (_, i) => {
  const shuffled = Array.from({ length: 40 }, (_, j) => words[(i * 7 + j * (1 + (i % 11))) % words.length])
  return `${i} ${shuffled.join(' ')}`.slice(0, 200)
})

const raw = measure('static embed, 200 characters', i => embedText(texts[i] as string))
const projected = measure('project', i => project(space, raw[i] as Float32Array))
const tables = measure('dotTable', i => dotTable(space, projected[i] as Float32Array))
const codes = measure('encode', i => encode(space, tables[i] as Float64Array))
measure('8 nearest cells', i => nearestCells(space, tables[i] as Float64Array, 8))
const decoded = measure('decode', i => decode(space, codes[i] as string))
measure('similarity', i => similarity(tables[0] as Float64Array, decoded[i] as (typeof decoded)[number]))

/** The best of a few repeats; returns what the last one gave. */
function measure<T>(label: string, step: (index: number) => T): T[] {
  let results: T[] = []
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const begun = performance.now()
    results = texts.map((_, index) => step(index))
    best = Math.min(best, performance.now() - begun)
  }
  console.log(`${label}: ${((1_000 * best) / ROUNDS).toFixed(2)} µs`)
  return results
}
