/** What every embedder must do; an implementation is tested by calling this with a way to make one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Embedder } from '../../embeddings/embedder.ts'

export interface EmbedderContractOptions {
  /** Why the suite cannot run here. */
  skip?: string | false
}

export function testEmbedder(
  name: string,
  create: () => Promise<Embedder>,
  options: EmbedderContractOptions = {},
): void {
  describe(`${name} keeps the embedder contract`, { skip: options.skip ?? false }, () => {
    it('gives each text a vector of length 1, in order', async () => {
      await using embedder = await create()
      const texts = ['How do I reset my password?', 'SELECT name FROM users', 'Wie spät ist es?', 'x']
      const together = await embedder.embed(texts)
      assert.equal(together.length, texts.length)
      for (const [i, text] of texts.entries()) {
        const [alone] = await embedder.embed([text])
        assert.equal(alone?.length, embedder.dimensions)
        assertNear(cosine(alone, alone), 1)
        assertNear(cosine(alone, together[i]), 1)
      }
    })

    it('gives zeros where there is nothing to embed', async () => {
      await using embedder = await create()
      const vectors = await embedder.embed(['', 'something', ' \n\t '])
      assert.deepEqual(vectors[0], new Float32Array(embedder.dimensions))
      assert.notDeepEqual(vectors[1], new Float32Array(embedder.dimensions))
      assert.deepEqual(vectors[2], new Float32Array(embedder.dimensions))
    })

    it('answers no texts with no vectors', async () => {
      await using embedder = await create()
      assert.deepEqual(await embedder.embed([]), [])
    })

    it('puts a rewording nearer than another subject', async () => {
      await using embedder = await create()
      const [asked, reworded, other] = await embedder.embed([
        'How do I change the PIN of my bank card?',
        'I want to change my card PIN, how can I do that?',
        'Which planets of the solar system have rings?',
      ])
      assert.ok(cosine(asked, reworded) > cosine(asked, other) + 0.1)
    })

    it('takes any string, however long or broken', async () => {
      await using embedder = await create()
      const texts = [
        '\ud800 lone surrogate \udc00',
        '\u0000\u0007 control',
        'word '.repeat(100_000),
        'x'.repeat(200_000),
      ]
      texts.push('今天天气怎么样', '🎉🎉', '?!')
      for (const vector of await embedder.embed(texts)) {
        // A model that knows no part of a text finds nothing to embed in it.
        if (vector.some(component => component !== 0)) assertNear(cosine(vector, vector), 1)
      }
    })

    it('reads both ends of a long text', async () => {
      await using embedder = await create()
      const filler = 'and so the story goes on. '.repeat(4_000)
      const [plain, head, tail] = await embedder.embed([
        filler,
        `Translate into Latin. ${filler}`,
        `${filler} In Latin.`,
      ])
      assert.notDeepEqual(head, plain)
      assert.notDeepEqual(tail, plain)
    })

    it('rejects with the reason of an aborted signal', async () => {
      await using embedder = await create()
      const reason = new Error('the client left')
      await assert.rejects(embedder.embed(['text'], { signal: AbortSignal.abort(reason) }), reason)
    })
  })
}

export function cosine(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a !== undefined && b !== undefined)
  return a.reduce((sum, component, i) => sum + component * (b[i] ?? Number.NaN), 0)
}

function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-5, `${actual} is not ${expected}`)
}
