import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { embedText } from '../../embeddings/static.ts'
import { decode, dotTable, project, referenceTexts, similarity } from '../../router/fingerprint.ts'
import { openSpace } from '../support/other-space.ts'
import { shippedSpace } from '../support/router-support.ts'

interface Golden {
  space: string
  vectors: { text: string; code: string }[]
}
const golden = JSON.parse(readFileSync(new URL('../fixtures/fingerprint.json', import.meta.url), 'utf8')) as Golden

it('another implementation of docs/protocol.md finds the same space, codes, similarities and counts', async () => {
  const space = await shippedSpace()
  const other = openSpace(join(import.meta.dirname, '../../embeddings/spaces/sense-1'))
  assert.equal(other.id, golden.space)
  assert.equal(other.id, space.id)
  for (const { text, code } of golden.vectors) {
    const vector = embedText(text)
    assert.equal(other.encode(vector), code)
    const table = dotTable(space, project(space, vector))
    for (const length of [2, 3, 4, 9, 16]) {
      for (const cut of [code.slice(0, length), golden.vectors[0]?.code.slice(0, length) ?? '']) {
        const difference = similarity(table, decode(space, cut)) - other.similarity(vector, cut)
        assert.ok(Math.abs(difference) < 1e-5, `${cut}: ${difference}`)
      }
    }
    for (const digits of [2, 3, 4] as const) {
      assert.equal(other.count(code.slice(0, digits)), referenceTexts(space, code, digits))
    }
  }
})
