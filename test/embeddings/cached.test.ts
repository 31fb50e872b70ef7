import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createCachedEmbedder } from '../../embeddings/cached.ts'
import type { Embedder } from '../../embeddings/embedder.ts'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { testEmbedder } from '../contracts/embedder.ts'

testEmbedder('the cached embedder', async () => createCachedEmbedder(createStaticEmbedder()))
testEmbedder('a cache of no entries', async () => createCachedEmbedder(createStaticEmbedder(), { entries: 0 }))

/** The static embedder, seen from behind: each run waits until the test lets it go. */
class Gated implements Embedder {
  readonly #inner = createStaticEmbedder()
  readonly space = this.#inner.space
  readonly dimensions = this.#inner.dimensions
  readonly inline = false
  readonly runs: { text: string; signal: AbortSignal | undefined; open: () => void; fail: (cause: Error) => void }[] =
    []
  disposed = false

  async embed(texts: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<Float32Array[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    signal?.addEventListener('abort', () => reject(signal.reason))
    this.runs.push({ text: texts.join(), signal, open: resolve, fail: reject })
    await promise
    return this.#inner.embed(texts)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true
  }
}

describe('the cached embedder', () => {
  it('runs equal texts in flight once, and kept ones not at all', async () => {
    const gated = new Gated()
    const cached = createCachedEmbedder(gated)
    const both = Promise.all([cached.embed(['a', 'b', 'a']), cached.embed(['a'])])
    assert.deepEqual(
      gated.runs.map(run => run.text),
      ['a', 'b'],
    )
    for (const run of gated.runs) run.open()
    const [[first, , third], [again]] = await both
    assert.deepEqual(first, third)
    assert.deepEqual(first, again)
    assert.deepEqual(await cached.embed(['b', 'a']), [(await both)[0][1], first])
    assert.equal(gated.runs.length, 2)
  })

  it('forgets the text that was unused for longest', async () => {
    const gated = new Gated()
    const cached = createCachedEmbedder(gated, { entries: 2 })
    const ask = async (text: string) => {
      const before = gated.runs.length
      const asked = cached.embed([text])
      for (const run of gated.runs.slice(before)) run.open()
      await asked
      return gated.runs.length > before ? 'ran' : 'kept'
    }
    assert.deepEqual([await ask('a'), await ask('b'), await ask('a'), await ask('c')], ['ran', 'ran', 'kept', 'ran'])
    assert.deepEqual([await ask('a'), await ask('b')], ['kept', 'ran'])
  })

  it('lets one caller leave without stopping the run that another waits for', async () => {
    const gated = new Gated()
    const cached = createCachedEmbedder(gated)
    const leaving = new AbortController()
    const left = cached.embed(['a'], { signal: leaving.signal })
    const stayed = cached.embed(['a'])
    leaving.abort(new Error('left'))
    await assert.rejects(left, { message: 'left' })
    assert.equal(gated.runs[0]?.signal?.aborted, false)
    gated.runs[0]?.open()
    assert.equal((await stayed).length, 1)
  })

  it('stops a run that nobody waits for, and the next caller starts another', async () => {
    const gated = new Gated()
    const cached = createCachedEmbedder(gated)
    const leaving = new AbortController()
    const left = cached.embed(['a'], { signal: leaving.signal })
    leaving.abort(new Error('left'))
    await assert.rejects(left, { message: 'left' })
    assert.equal(gated.runs[0]?.signal?.aborted, true)
    const next = cached.embed(['a'])
    gated.runs[1]?.open()
    assert.equal((await next).length, 1)
  })

  it('does not keep a failure', async () => {
    const gated = new Gated()
    const cached = createCachedEmbedder(gated)
    const failing = cached.embed(['a'])
    gated.runs[0]?.fail(new Error('no memory'))
    await assert.rejects(failing, { message: 'no memory' })
    const next = cached.embed(['a'])
    gated.runs[1]?.open()
    assert.equal((await next).length, 1)
  })

  it('disposes of the embedder it wraps', async () => {
    const gated = new Gated()
    await createCachedEmbedder(gated)[Symbol.asyncDispose]()
    assert.equal(gated.disposed, true)
  })
})
