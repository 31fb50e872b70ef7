/** The real model is no part of the repository: these run where `QIS_TEST_MINILM` names its folder. */
import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createMiniLmEmbedder, MINILM as PINNED } from '../../embeddings/minilm.ts'
import { cosine, testEmbedder } from '../contracts/embedder.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { MINILM, withoutMiniLm } from './shared-data.ts'

const skip = withoutMiniLm

testEmbedder('MiniLM', () => createMiniLmEmbedder({ model: MINILM }), { skip })

describe('MiniLM', { skip }, () => {
  it('gives the vectors that its authors publish, but for rounding', async () => {
    await using embedder = await createMiniLmEmbedder({ model: MINILM })
    assert.equal(embedder.space, 'all-minilm-l6-v2')
    assert.equal(embedder.dimensions, PINNED.dimensions)
    const [vector] = await embedder.embed(['This is an example sentence'])
    // The first four of 384 in sentence-transformers' float32.
    const published = [0.0676569, 0.0634959, 0.0487131, 0.0793049]
    published.forEach((component, i) => {
      assert.ok(Math.abs((vector?.[i] ?? Number.NaN) - component) < 0.03, `${i}: ${vector?.[i]}`)
    })
  })

  it('gives a text the same vector whatever is asked beside it', async () => {
    await using embedder = await createMiniLmEmbedder({ model: MINILM })
    const [alone] = await embedder.embed(['How do I change the PIN of my bank card?'])
    const beside = await embedder.embed(['x'.repeat(900), 'How do I change the PIN of my bank card?', 'hello'])
    assert.deepEqual(beside[1], alone)
  })

  it('knows other words for the same question', async () => {
    await using embedder = await createMiniLmEmbedder({ model: MINILM })
    const [asked, reworded, other] = await embedder.embed([
      'Where has my parcel got to?',
      'The package I ordered has not been delivered yet',
      'Who was the first man on the moon?',
    ])
    assert.ok(cosine(asked, reworded) > 0.5 && cosine(asked, other) < 0.2)
  })

  it('is read from the folder where models from the hub are kept, without the hub', async () => {
    await using folder = await tempFolder()
    await cp(MINILM, join(folder.path, PINNED.revision, PINNED.hub), { recursive: true })
    await using embedder = await createMiniLmEmbedder({ cacheFolder: folder.path })
    assert.equal((await embedder.embed(['hello']))[0]?.length, PINNED.dimensions)
  })
})
