import assert from 'node:assert/strict'
import { cp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createTransformersEmbedder } from '../../embeddings/transformers.ts'
import { cosine, testEmbedder } from '../contracts/embedder.ts'
import { watchChildren } from '../support/children.ts'
import { until } from '../support/poll.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { missing, POTION } from './shared-data.ts'

const skip = missing(POTION)
const model = POTION

testEmbedder('the transformers embedder', () => createTransformersEmbedder({ model }), { skip })

describe('the transformers embedder', { skip }, () => {
  it('gives the vectors that the table of the model gives', async () => {
    await using embedder = await createTransformersEmbedder({ model })
    const [vector] = await embedder.embed(['hello world'])
    const table = await readTable(join(POTION, 'potion-base-2M.bin'))
    const [hello, world] = [table('hello'), table('world')]
    const sum = hello.map((component, i) => component + (world[i] as number))
    const length = Math.sqrt(cosine(sum, sum))
    assert.ok(cosine(vector, sum) / length > 0.999)
  })

  it('names its space after the model unless told otherwise', async () => {
    await using plain = await createTransformersEmbedder({ model })
    await using named = await createTransformersEmbedder({ model, space: 'potion-base-2m' })
    assert.equal(plain.space, 'potion-base-2m-int8')
    assert.equal(named.space, 'potion-base-2m')
    assert.equal(plain.dimensions, 64)
    assert.equal(plain.inline, false)
  })

  it('pools as it is told', async () => {
    await using mean = await createTransformersEmbedder({ model })
    await using first = await createTransformersEmbedder({ model, pooling: 'cls' })
    const [[mixed], [one], [word]] = [
      await mean.embed(['hello world']),
      await first.embed(['hello world']),
      await first.embed(['hello']),
    ]
    assert.ok(cosine(one, word) > 0.9999)
    assert.ok(cosine(mixed, word) < 0.99)
  })

  it('cuts texts at the length it is told', async () => {
    await using embedder = await createTransformersEmbedder({ model, maxUnits: 10 })
    const [cut, ends] = await embedder.embed(['hello middle world', 'hello\nworld'])
    assert.ok(cosine(cut, ends) > 0.9999)
  })

  it('gives each of many callers its own vectors, whatever the batch', async () => {
    await using embedder = await createTransformersEmbedder({ model, maxBatch: 3 })
    const texts = Array.from({ length: 40 }, (_, i) => `question ${i} about ${'abcdefghij'[i % 10]}`)
    const together = await Promise.all(
      texts.map((text, i) => embedder.embed(i % 7 === 0 ? [text, 'and one more'] : [text])),
    )
    const once = await embedder.embed(texts)
    for (const [i, [vector]] of together.entries()) assert.deepEqual(vector, once[i], texts[i])
  })

  it('refuses what would wait beyond its bound, and recovers', async () => {
    await using embedder = await createTransformersEmbedder({ model, maxWaiting: 2 })
    const running = embedder.embed(['a'])
    const waiting = embedder.embed(['b', 'c'])
    await assert.rejects(embedder.embed(['d']), { code: 'ERR_EMBEDDER_BUSY' })
    await Promise.all([running, waiting])
    assert.equal((await embedder.embed(['d'])).length, 1)
  })

  it('lets a caller leave, and frees its place in the queue', async () => {
    await using embedder = await createTransformersEmbedder({ model, maxWaiting: 1 })
    const running = embedder.embed(['a'])
    const leaving = new AbortController()
    const left = embedder.embed(['b'], { signal: leaving.signal })
    leaving.abort(new Error('left'))
    const next = embedder.embed(['c'])
    await assert.rejects(left, { message: 'left' })
    assert.equal((await running).length + (await next).length, 2)
  })

  it('fails what is in flight when it is closed, and everything after', async () => {
    const embedder = await createTransformersEmbedder({ model })
    const inFlight = embedder.embed(['a'])
    const queued = embedder.embed(['b'])
    const refused = { code: 'ERR_EMBEDDER_UNAVAILABLE', message: 'the embedder was closed' }
    const both = Promise.all([assert.rejects(inFlight, refused), assert.rejects(queued, refused)])
    await embedder[Symbol.asyncDispose]()
    await both
    await assert.rejects(embedder.embed(['c']), refused)
  })

  it('refuses at once while its worker is lost, and embeds again with the next', async () => {
    using watch = watchChildren()
    const told: unknown[] = []
    const back = Promise.withResolvers<void>()
    await using embedder = await createTransformersEmbedder({
      model,
      restartDelayMs: 1,
      observer: {
        workerLost: (cause, retryMs) => told.push(cause.code, retryMs),
        workerReplaced: () => back.resolve(),
      },
    })
    const before = await embedder.embed(['a'])
    // Long enough not to be done before the signal has come.
    const inFlight = embedder.embed(Array.from({ length: 250 }, (_, i) => `text ${i} `.repeat(200)))
    const queued = embedder.embed(['b'])
    const refused = {
      code: 'ERR_EMBEDDER_UNAVAILABLE',
      message: 'the embedding process ended with SIGKILL; another is being started',
    }
    const both = Promise.all([assert.rejects(inFlight, refused), assert.rejects(queued, refused)])
    watch.children[0]?.kill('SIGKILL')
    await both
    let turned = false
    setImmediate(() => {
      turned = true
    })
    await assert.rejects(embedder.embed(['c']), refused)
    assert.ok(!turned, 'nobody waits for a worker that is being started')
    await back.promise
    assert.deepEqual(await embedder.embed(['a']), before)
    assert.deepEqual(told, ['ERR_EMBEDDER_UNAVAILABLE', 1])
  })

  it('stops replacing workers when none comes up, and waits longer before each', async () => {
    await using folder = await tempFolder()
    const copy = join(folder.path, 'model')
    await cp(POTION, copy, { recursive: true })
    using watch = watchChildren()
    const waits: (number | undefined)[] = []
    const gaveUp = Promise.withResolvers<void>()
    await using embedder = await createTransformersEmbedder({
      model: copy,
      restartDelayMs: 1,
      maxRestarts: 3,
      observer: {
        workerLost(_cause, retryMs) {
          waits.push(retryMs)
          if (retryMs === undefined) gaveUp.resolve()
        },
        workerReplaced: () => assert.fail('there is no model left to load'),
      },
    })
    await rm(copy, { recursive: true })
    watch.children[0]?.kill('SIGKILL')
    await gaveUp.promise
    assert.deepEqual(waits, [1, 2, 4, undefined])
    await assert.rejects(embedder.embed(['a']), { code: 'ERR_EMBEDDER_UNAVAILABLE', message: /and so did 3 after it/ })
  })

  it('replaces a worker that hangs over a batch', async () => {
    const back = Promise.withResolvers<void>()
    await using embedder = await createTransformersEmbedder({
      model,
      runDeadlineMs: 500,
      maxWaiting: 4_000,
      restartDelayMs: 1,
      observer: { workerLost: () => undefined, workerReplaced: () => back.resolve() },
    })
    // Not a hang, but work for a while, and to the deadline that is the same.
    const large = embedder.embed(Array.from({ length: 4_000 }, (_, i) => `text ${i} `.repeat(200)))
    await assert.rejects(large, { code: 'ERR_EMBEDDER_UNAVAILABLE', message: /a run took longer than 500 ms/ })
    await back.promise
    // on a busy machine the first run of a process may be late too
    const embedded = () => embedder.embed(['a']).catch(() => undefined)
    assert.equal((await until('a vector', embedded)).length, 1)
  })

  it('gives up on a model that takes too long to load', async () => {
    await assert.rejects(createTransformersEmbedder({ model, loadDeadlineMs: 1 }), (error: Error) => {
      assert.match(String(error.cause), /loading the model took longer than 1 ms/)
      return true
    })
  })

  it('says what it looked for when the folder is missing or not complete', async () => {
    await assert.rejects(createTransformersEmbedder({ model: './no/such/model' }), {
      code: 'ERR_EMBEDDER_UNAVAILABLE',
      message: /there is no model folder .*no\/such\/model/,
    })
    await using folder = await tempFolder()
    for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
      await cp(join(POTION, file), join(folder.path, file))
    }
    await assert.rejects(createTransformersEmbedder({ model: folder.path }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_EMBEDDER_UNAVAILABLE')
      assert.ok(error.message.includes(folder.path), error.message)
      assert.match(String(error.cause), /model_quantized\.onnx/)
      return true
    })
  })

  it('loads the weights it is told, and no others', async () => {
    await assert.rejects(createTransformersEmbedder({ model, dtype: 'fp16' }), { code: 'ERR_EMBEDDER_UNAVAILABLE' })
  })

  it('gives up loading when told to', async () => {
    const leaving = new AbortController()
    const loading = createTransformersEmbedder({ model, signal: leaving.signal })
    leaving.abort(new Error('shutting down'))
    await assert.rejects(loading, { message: 'shutting down' })
  })
})

/** Word vectors of the raw table: "GGE1", rows, dims, a scale a row, int8 rows, then the tokens. */
async function readTable(file: string): Promise<(word: string) => Float32Array> {
  const bytes = await readFile(file)
  const [rows, dims] = [bytes.readUInt32LE(4), bytes.readUInt32LE(8)]
  const matrix = 12 + 4 * rows
  const index = new Map<string, number>()
  let at = matrix + rows * dims
  for (let row = 0; row < rows; row++) {
    const length = bytes.readUInt16LE(at)
    index.set(bytes.toString('utf8', at + 2, at + 2 + length), row)
    at += 2 + length
  }
  return word => {
    const row = index.get(word) ?? Number.NaN
    const scale = bytes.readFloatLE(12 + 4 * row)
    return Float32Array.from({ length: dims }, (_, i) => scale * bytes.readInt8(matrix + row * dims + i))
  }
}
