import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createStaticEmbedder, embedText } from '../../embeddings/static.ts'
import { cosine, testEmbedder } from '../contracts/embedder.ts'

testEmbedder('the static embedder', async () => createStaticEmbedder())

interface Golden {
  vectors: { text: string; sha256: string }[]
}
const golden = JSON.parse(readFileSync(new URL('../fixtures/fingerprint.json', import.meta.url), 'utf8')) as Golden

describe('the static embedder', () => {
  it('gives the same bytes on every machine', () => {
    for (const { text, sha256 } of golden.vectors) assert.equal(digest(embedText(text)), sha256, text.slice(0, 40))
  })

  it('does not care for case, compatibility forms or digits', () => {
    const vector = embedText('what is the ﬁnal score of game 17')
    assert.deepEqual(embedText('what is the final score of game 42'), vector)
    // Capitals change the measure of shape a little, and nothing else.
    assert.ok(cosine(embedText('WHAT IS THE FINAL SCORE OF GAME 17'), vector) > 0.85)
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

  it('weighs what a question is about above how it is put', () => {
    const about = cosine(
      embedText('what is the boiling point of ethanol'),
      embedText('tell me the boiling point of ethanol'),
    )
    const put = cosine(
      embedText('what is the boiling point of ethanol'),
      embedText('what is the capital city of Norway'),
    )
    assert.ok(about > put + 0.2, `${about} against ${put}`)
  })

  it('tells code and formulas from prose by their shape', () => {
    const prose = embedText('Please describe how the weather changes over the year in the north of Spain.')
    const code = embedText('for (let i = 0; i < n; i++) {\n  total += list[i];\n}\nreturn total;')
    const otherCode = embedText('while (queue.length > 0) {\n  visit(queue.shift());\n}\nprint(seen);')
    assert.ok(cosine(code, otherCode) > cosine(code, prose) + 0.1)
  })

  it('finds words inside scripts written without spaces', () => {
    const asked = embedText('東京の天気を教えてください')
    assert.ok(cosine(asked, embedText('明日の東京の天気')) > cosine(asked, embedText('数学の宿題を手伝って')) + 0.1)
  })
})

function digest(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * vector.length))
  vector.forEach((component, i) => {
    bytes.setFloat32(4 * i, component, true)
  })
  return createHash('sha256').update(bytes).digest('hex')
}
