import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createStaticEmbedder, embedText } from '../../embeddings/static.ts'
import { BUILT_IN_SPACE, parseTable } from '../../embeddings/table.ts'
import { cosine, testEmbedder } from '../contracts/embedder.ts'
import { SPACES } from './shared-data.ts'

testEmbedder('the static embedder', async () => createStaticEmbedder())

interface Golden {
  vectors: { text: string; sha256: string }[]
}
const golden = JSON.parse(readFileSync(new URL('../fixtures/fingerprint.json', import.meta.url), 'utf8')) as Golden
const table = readFileSync(join(SPACES, BUILT_IN_SPACE, 'embedder.bin'))

const alike = (left: string, right: string) => cosine(embedText(left), embedText(right))

describe('the static embedder', () => {
  it('gives the same bytes on every machine', () => {
    for (const { text, sha256 } of golden.vectors) assert.equal(digest(embedText(text)), sha256, text.slice(0, 40))
  })

  it('does not care for case or compatibility forms', () => {
    const vector = embedText('what is the ﬁnal score of game 17')
    assert.deepEqual(embedText('What is THE final score of game １７'), vector)
  })

  it('remembers nothing of the text before', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 300 }), (before, text) => {
        const first = embedText(text)
        embedText(before)
        assert.deepEqual(embedText(text), first)
      }),
    )
  })

  it('gives length 1 or nothing for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), text => {
        const vector = embedText(text)
        const square = cosine(vector, vector)
        assert.ok(square === 0 || Math.abs(square - 1) < 1e-5, String(square))
      }),
    )
  })

  it('finds no word in what is empty or only signs', () => {
    for (const text of ['', ' \n\t', '?!', '\u0000\u0001', '→ …']) {
      assert.ok(
        embedText(text).every(component => component === 0),
        JSON.stringify(text),
      )
    }
  })

  it('sees both ends of a very long text, and no more', () => {
    const around = (middle: string) => `${'How do I reset it? '.repeat(200)}${middle}${' Explain insulin.'.repeat(200)}`
    assert.deepEqual(embedText(around('zebra '.repeat(500))), embedText(around('giraffe '.repeat(900))))
    const end = `${'word '.repeat(3_000)} What is the dose of insulin for a child?`
    assert.ok(alike(end, 'insulin dose') > alike('word '.repeat(3_000), 'insulin dose'))
  })

  it('knows that different words may mean the same', () => {
    const pairs = [
      ['my automobile will not start', 'the car does not start', 'the cake does not rise'],
      ['which physician should I see', 'what doctor should I visit', 'what restaurant should I visit'],
      ['how much money is in my account', 'what is my bank balance', 'what is my flight number'],
    ] as const
    for (const [asked, reworded, other] of pairs) {
      assert.ok(alike(asked, reworded) > alike(asked, other) + 0.1, `${asked}: ${alike(asked, reworded)}`)
    }
  })

  it('reads over a typo', () => {
    const pairs = [
      ['how do I reset my password', 'how do I reset my pasword'],
      ['what is the weather in London tomorrow', 'what is the weathr in London tomorow'],
      ['transfer money to my savings account', 'trasnfer money to my savngs acount'],
    ] as const
    const other = 'who painted the Mona Lisa'
    for (const [right, wrong] of pairs) {
      assert.ok(alike(right, wrong) > 0.5, `${wrong}: ${alike(right, wrong)}`)
      assert.ok(alike(right, wrong) > alike(right, other) + 0.3)
    }
  })

  it('makes something of a word that it has never seen, by its letters', () => {
    const [known, unknown] = ['the glorptacular widget', 'a glorptaculous gadget']
    assert.ok(alike(known, unknown) > alike(known, 'a frumious bandersnatch') + 0.1)
  })

  it('counts a number without a row by its digits', () => {
    assert.deepEqual(embedText('invoice 48151623'), embedText('invoice 48151624'))
    assert.notDeepEqual(embedText('invoice 48151623'), embedText('invoice 481516'))
  })

  it('tells code and formulas from prose by their shape', () => {
    const shape = (text: string) => embedText(text).subarray(-8)
    const prose = shape('Please describe how the weather changes over the year in the north of Spain.')
    const code = shape('for (let i = 0; i < n; i++) {\n  total += list[i];\n}\nreturn total;')
    const otherCode = shape('while (queue.length > 0) {\n  visit(queue.shift());\n}\nprint(seen);')
    const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((x, i) => x - (b[i] as number)))
    assert.ok(distance(code, otherCode) < 0.7 * distance(code, prose))
  })

  it('finds words inside scripts written without spaces', () => {
    const asked = '東京の天気を教えてください'
    assert.ok(alike(asked, '明日の東京の天気') > alike(asked, '数学の宿題を手伝って') + 0.1)
  })
})

describe("the static embedder's table", () => {
  it('is refused when it is cut, longer or another kind of file', () => {
    const cut = table.subarray(0, -1)
    const longer = Buffer.concat([table, Buffer.alloc(1)])
    const other = Buffer.from(table)
    other.writeUInt32LE(0, 0)
    for (const bytes of [cut, longer, other, Buffer.alloc(0), Buffer.alloc(16)]) {
      assert.throws(() => parseTable(bytes), { code: 'ERR_EMBEDDER_UNAVAILABLE', message: /embedder\.bin/ })
    }
  })

  it('makes the vectors that it is given for', async () => {
    const changed = Buffer.from(table)
    changed.subarray(-48 * 9_000).fill(1)
    const [own, shipped] = [parseTable(changed), parseTable(table)]
    await using embedder = createStaticEmbedder({ table: own, space: 'own' })
    assert.equal(embedder.space, 'own')
    const [vector] = await embedder.embed(['glorptacular widget'])
    assert.deepEqual(vector, embedText('glorptacular widget', own))
    assert.notDeepEqual(vector, embedText('glorptacular widget', shipped))
  })
})

function digest(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * vector.length))
  vector.forEach((component, i) => {
    bytes.setFloat32(4 * i, component, true)
  })
  return createHash('sha256').update(bytes).digest('hex')
}
