import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMappedEmbedder } from '../../embeddings/mapped.ts'
import { createStaticEmbedder, embedText } from '../../embeddings/static.ts'
import { cosine, testEmbedder } from '../contracts/embedder.ts'

const MEANING = 48
const INPUTS = MEANING + 8

/** Takes the first `dimensions` components and leaves them as they are. */
function identity(dimensions: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 + 2 * INPUTS * (1 + dimensions)))
  view.setUint32(0, INPUTS, true)
  view.setUint32(4, dimensions, true)
  for (let i = 0; i < dimensions; i++) view.setFloat16(8 + 2 * (INPUTS + i * INPUTS + i), 1, true)
  return new Uint8Array(view.buffer)
}

testEmbedder('the mapped embedder', async () =>
  createMappedEmbedder(createStaticEmbedder(), identity(MEANING), 'mapped'),
)

describe('the mapped embedder', () => {
  it('gives the vectors of the space when its own lie there already', async () => {
    await using embedder = createMappedEmbedder(createStaticEmbedder(), identity(MEANING), 'mapped')
    const text = 'Solve for x:\n3x + 7 = 22'
    const [vector] = await embedder.embed([text])
    assert.equal(embedder.space, 'mapped')
    assert.equal(embedder.dimensions, INPUTS)
    assert.ok(cosine(vector, embedText(text)) > 1 - 1e-6)
  })

  it('takes the mean off first', async () => {
    const bytes = identity(MEANING)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < INPUTS; i++) view.setFloat16(8 + 2 * i, 0.5, true)
    await using embedder = createMappedEmbedder(createStaticEmbedder(), bytes, 'mapped')
    const [vector] = await embedder.embed(['Solve for x'])
    const expected = embedText('Solve for x')
      .subarray(0, MEANING)
      .map(component => component - 0.5)
    assert.ok(cosine(vector?.subarray(0, MEANING), expected) / Math.sqrt(cosine(expected, expected)) > 0.8)
    assert.ok((vector?.[0] ?? 0) < 0)
  })

  it('is refused a map that is none, or one for other vectors', () => {
    const other = identity(MEANING)
    new DataView(other.buffer).setUint32(0, 384, true)
    for (const bytes of [new Uint8Array(), new Uint8Array(8), identity(MEANING).subarray(0, -1), other]) {
      assert.throws(() => createMappedEmbedder(createStaticEmbedder(), bytes, 'mapped'), {
        code: 'ERR_EMBEDDER_UNAVAILABLE',
        message: /teacher\.bin/,
      })
    }
  })
})
