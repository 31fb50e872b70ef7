import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { embedText } from '../../embeddings/static.ts'
import {
  CODE_DIGITS,
  decode,
  dotTable,
  encode,
  nearestCells,
  project,
  referenceTexts,
  similarity,
} from '../../router/fingerprint.ts'
import { productsOf } from '../../router/products.ts'
import { loadSpace, type Space } from '../../router/space.ts'
import { cosine } from '../contracts/embedder.ts'
import { missing, PAIRS, QUESTIONS, SPACES } from '../embeddings/shared-data.ts'

interface Golden {
  space: string
  vectors: { text: string; code: string }[]
}
const golden = JSON.parse(readFileSync(new URL('../fixtures/fingerprint.json', import.meta.url), 'utf8')) as Golden

/** Pairs that ask the same, and among themselves nothing in common. */
const REWORDED = [
  ['How do I reset my online banking password?', 'I forgot my banking password, how can I reset it?'],
  ['What are the side effects of ibuprofen?', 'Does ibuprofen have any side effects?'],
  ['How do I join two tables in SQL?', 'Joining two SQL tables on a column'],
  ['Find all files larger than 100 MB in a directory', 'List every file over 100 MB in this directory'],
  ['Book a table for two at an Italian restaurant tonight', 'I want to reserve an Italian restaurant table for two'],
  ['Who won the football world cup in 1998?', 'Which team won the 1998 world cup in football?'],
] as const

describe('a fingerprint', () => {
  let space: Space
  let potion: Space
  const see = (text: string) => project(space, embedText(text))
  const codeOf = (vector: Float32Array) => encode(space, dotTable(space, vector))
  const cellsOf = (vector: Float32Array, count: number) => nearestCells(space, dotTable(space, vector), count)
  /** Unit vectors of the space, and sometimes the zero vector. */
  const vectors = () =>
    fc
      .array(fc.double({ min: -1, max: 1, noNaN: true }), {
        minLength: space.inputDimensions,
        maxLength: space.inputDimensions,
      })
      .map(components => project(space, Float32Array.from(components)))

  before(async () => {
    space = await loadSpace(join(SPACES, 'sense-1'))
    potion = await loadSpace(join(SPACES, 'potion-base-2m'))
  })

  it('is the same on every machine', () => {
    assert.equal(space.id, golden.space)
    for (const { text, code } of golden.vectors) assert.equal(codeOf(see(text)), code, text.slice(0, 40))
  })

  it('is 16 hex digits whose first two name the nearest cell', () => {
    fc.assert(
      fc.property(vectors(), fc.integer({ min: 1, max: 256 }), (vector, count) => {
        const code = codeOf(vector)
        assert.match(code, /^[0-9a-f]{16}$/)
        const cells = cellsOf(vector, count)
        assert.equal(cells.length, count)
        assert.equal(new Set(cells).size, count)
        assert.equal(cells[0], Number.parseInt(code.slice(0, 2), 16))
      }),
      { numRuns: 50 },
    )
  })

  it('probes cells in order of distance', () => {
    const vector = see('How do I reset my password?')
    const distance = (cell: number) => {
      const centroid = space.cells.subarray(cell * space.dimensions, (cell + 1) * space.dimensions)
      return centroid.reduce((sum, component, i) => sum + (component - (vector[i] as number)) ** 2, 0)
    }
    const sorted = Array.from({ length: 256 }, (_, cell) => cell).sort((a, b) => distance(a) - distance(b))
    assert.deepEqual(cellsOf(vector, 256), sorted)
    assert.deepEqual(cellsOf(vector, 8), sorted.slice(0, 8))
    assert.deepEqual(cellsOf(vector, 0), [])
  })

  it('has a similarity that is the cosine of the query and the reconstruction', () => {
    fc.assert(
      fc.property(vectors(), vectors(), fc.integer({ min: 2, max: 16 }), (query, other, digits) => {
        const decoded = decode(space, codeOf(other).slice(0, digits))
        const similar = similarity(dotTable(space, query), decoded)
        assert.ok(similar >= -1 && similar <= 1)
        const rebuilt = reconstruct(space, decoded.cell, decoded.digits)
        const length = Math.sqrt(cosine(rebuilt, rebuilt))
        assert.ok(Math.abs(decoded.norm - length) < 1e-5)
        assert.ok(Math.abs(similar - cosine(query, rebuilt) / length) < 1e-5)
      }),
      { numRuns: 50 },
    )
  })

  it('may be any code: whatever a peer sends decodes to a bounded similarity', () => {
    const hex = fc.array(fc.constantFrom(...'0123456789abcdef'), { minLength: 2, maxLength: 16 }).map(d => d.join(''))
    const table = dotTable(space, see('any question'))
    fc.assert(
      fc.property(hex, code => {
        const similar = similarity(table, decode(space, code))
        assert.ok(similar >= -1 && similar <= 1)
      }),
    )
  })

  it('is refused when it is no code', () => {
    for (const bad of ['', 'a', 'AB', 'zz', '0x12', 'ab\n', ' ab', '0'.repeat(17)]) {
      assert.throws(() => decode(space, bad), RangeError, JSON.stringify(bad))
    }
  })

  it('of nothing is nothing, and like nothing', () => {
    const nothing = project(space, new Float32Array(space.inputDimensions))
    assert.deepEqual(nothing, new Float32Array(space.dimensions))
    assert.equal(similarity(dotTable(space, nothing), decode(space, 'a9aefcafabb6b44c')), 0)
    assert.throws(() => project(space, new Float32Array(64)), RangeError)
  })

  it('projects to length 1, with a projection and without', () => {
    const projecting = { ...potion, ...withProjection(potion, 8) }
    const plain = new Float32Array(64).fill(0.125)
    for (const vector of [see('some question'), project(potion, plain), project(projecting, plain)]) {
      assert.ok(Math.abs(cosine(vector, vector) - 1) < 1e-6)
    }
    assert.equal(project(projecting, plain).length, 8)
  })

  it('puts a rewording into one of the eight cells probed far more often than another sentence', {
    skip: missing(PAIRS),
  }, () => {
    const rows = readFileSync(PAIRS, 'utf8').trim().split('\n')
    const pairs = rows
      .map(row => row.split('\t'))
      .filter(([, , , , score]) => Number(score) >= 4.5)
      .map(([, , , , , left = '', right = '']) => ({
        probed: cellsOf(see(left), 8),
        cell: decode(space, codeOf(see(right))).cell,
      }))
    const reached = (shift: number) =>
      pairs.filter(({ probed }, i) => probed.includes(pairs[(i + shift) % pairs.length]?.cell ?? -1)).length /
      pairs.length
    assert.ok(pairs.length > 100)
    assert.ok(reached(0) > 0.75, `rewordings: ${reached(0)}`)
    assert.ok(reached(17) < 0.4, `others: ${reached(17)}`)
  })

  it('finds the question that asks the same, from the code alone', () => {
    for (const [i, [asked]] of REWORDED.entries()) {
      const table = dotTable(space, see(asked))
      const similarities = REWORDED.map(([, other]) => similarity(table, decode(space, codeOf(see(other)))))
      assert.equal(similarities.indexOf(Math.max(...similarities)), i, asked)
    }
  })

  it('comes nearer to its question with every few digits', { skip: missing(QUESTIONS) }, () => {
    const texts = readFileSync(QUESTIONS, 'utf8').split('\n').slice(1, 301)
    const mean = [2, 3, 4, 6, 8, 12, CODE_DIGITS].map(digits => {
      const sum = texts.reduce((total, text) => {
        const vector = see(text)
        return total + similarity(dotTable(space, vector), decode(space, codeOf(vector).slice(0, digits)))
      }, 0)
      return sum / texts.length
    })
    for (let i = 1; i < mean.length; i++) assert.ok((mean[i] as number) > (mean[i - 1] as number), String(mean))
    assert.ok((mean.at(-1) as number) > 0.75, String(mean))
  })

  it('knows how many reference texts share its beginning', () => {
    const code = codeOf(see('What are the symptoms of diabetes?'))
    const counts = ([2, 3, 4] as const).map(digits => referenceTexts(space, code, digits))
    const [two = 0, three = 0, four = 0] = counts
    assert.ok(two >= three && three >= four && two > 0, String(counts))
    const children = Array.from('0123456789abcdef', digit => referenceTexts(space, code.slice(0, 2) + digit, 3))
    assert.equal(
      children.reduce((sum, count) => sum + count, 0),
      two,
    )
    assert.throws(() => referenceTexts(space, 'ab', 3), RangeError)
    assert.throws(() => referenceTexts(space, 'zz', 2), RangeError)
  })
})

/** The same space as if its vectors were brought to fewer dimensions first. */
function withProjection(
  { inputDimensions, mean, cells, levels }: Space,
  dimensions: number,
): Omit<Space, 'id' | 'name' | 'counts' | 'golden'> {
  const tables = {
    inputDimensions,
    dimensions,
    mean,
    projection: Float32Array.from({ length: dimensions * inputDimensions }, (_, i) => (i % 7) - 3),
    cells: cells.subarray(0, 256 * dimensions),
    levels: levels.subarray(0, 14 * 16 * dimensions),
  }
  return { ...tables, products: productsOf(tables) }
}

/** By the definition, apart from the code under test. */
function reconstruct(space: Space, cell: number, digits: Uint8Array): Float32Array {
  const { dimensions, cells, levels } = space
  return Float32Array.from({ length: dimensions }, (_, i) =>
    digits.reduce(
      (sum, digit, level) => sum + (levels[(level * 16 + digit) * dimensions + i] as number),
      cells[cell * dimensions + i] as number,
    ),
  )
}
