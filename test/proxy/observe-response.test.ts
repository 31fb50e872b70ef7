import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { suite, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import * as zlib from 'node:zlib'
import { Allowance } from '../../proxy/observe/allowance.ts'
import { Carry } from '../../proxy/observe/carry.ts'
import { createResponseObserver, type Observation } from '../../proxy/observe-response.ts'
import { answers, NOTHING, SSE_TYPE } from '../support/answers.ts'
import { cut, factsOf, follow, observeChunks } from '../support/observe.ts'
import { until } from '../support/poll.ts'

const KIB = 1024
const MIB = KIB * KIB
const DOCUMENT = '{"id":"a","model":"m","choices":[{"text":"b"}]}'
const SEEN = { ...NOTHING, completionId: 'a', model: 'm' }
const fail = (error: unknown) => assert.fail(String(error))

suite('the original', () => {
  test('a type that holds nothing to read is left alone', () => {
    const observer = createResponseObserver({ onError: fail })
    for (const type of ['', 'audio/mpeg', 'text/html', 'application/jsonish', 'multipart/form-data; boundary=x']) {
      assert.equal(
        observer.follow({ type, encoding: undefined }, () => assert.fail(type)),
        undefined,
      )
    }
  })

  test('what the observer does with a chunk happens after the chunk has been handed on', async () => {
    const stream = new PassThrough()
    const order: string[] = []
    stream.on('data', () => process.nextTick(() => order.push('handed on')))
    follow(createResponseObserver({ onError: fail }), stream, { type: 'application/json', encoding: undefined }, () =>
      order.push('observed'),
    )
    stream.end(DOCUMENT)
    await until('the observation', () => order.includes('observed'))
    assert.deepEqual(order, ['handed on', 'observed'])
  })

  test('a mistake of whoever is told is reported and goes no further', async () => {
    const errors: unknown[] = []
    const stream = new PassThrough()
    stream.resume()
    const mistake = new Error('a mistake')
    follow(
      createResponseObserver({ onError: error => errors.push(error) }),
      stream,
      { type: 'application/json', encoding: undefined },
      () => {
        throw mistake
      },
    )
    stream.end(DOCUMENT)
    await until('the report', () => errors.length > 0)
    assert.deepEqual(errors, [mistake])
  })
})

suite('case 9: an answer that breaks off', () => {
  async function broken(text: string | Buffer, type = SSE_TYPE, encoding?: string): Promise<Observation> {
    const stream = new PassThrough()
    stream.resume()
    const { promise, resolve } = Promise.withResolvers<Observation>()
    follow(createResponseObserver({ onError: fail }), stream, { type, encoding }, resolve)
    stream.write(text)
    await turn()
    stream.destroy()
    return promise
  }

  test('is told as such, with what was seen until then', async () => {
    const seen = await broken(`data: ${DOCUMENT}\n\ndata: {"usage":{"prompt_tokens":7}}\n\ndata: {"usage":{"comple`)
    assert.deepEqual(factsOf(seen), { ...SEEN, inputTokens: 7, result: 'broken_off', cutShort: true })
  })

  test('is not cut short if all had been said', async () => {
    const seen = await broken(`data: ${DOCUMENT}\n\ndata: [DONE]\n\n`)
    assert.deepEqual(factsOf(seen), { ...SEEN, result: 'broken_off' })
  })

  test('tells nothing of half a document', async () => {
    const seen = await broken('{"id":"a","choi', 'application/json')
    assert.deepEqual(factsOf(seen), { ...NOTHING, result: 'broken_off', cutShort: true })
  })

  test('tells so when it is compressed as well', async () => {
    const seen = await broken(Buffer.of(0x1f, 0x8b), 'application/json', 'gzip')
    assert.equal(seen.result, 'broken_off')
  })
})

suite('case 11: compressed answers are inflated on the copy', () => {
  const encodings: [encoding: string, compress: (bytes: Buffer) => Buffer][] = [
    ['gzip', zlib.gzipSync],
    ['x-gzip', zlib.gzipSync],
    ['GZIP', zlib.gzipSync],
    ['br', zlib.brotliCompressSync],
    ['zstd', zlib.zstdCompressSync],
    ['deflate', zlib.deflateSync],
    // As some servers understand that name.
    ['deflate', zlib.deflateRawSync],
  ]
  for (const [encoding, compress] of encodings) {
    test(`${encoding} (${compress.name}): every answer tells what it tells plain`, async () => {
      for (const { type, text, facts } of answers) {
        const bytes = compress(Buffer.from(text))
        const { seen, received } = await observeChunks(cut(bytes, [1, 2, 3, 50, 100]), { type, encoding })
        assert.deepEqual(factsOf(seen), facts)
        assert.deepEqual(received, bytes)
      }
    })
  }

  test('identity is no encoding', async () => {
    const { seen } = await observeChunks([Buffer.from(DOCUMENT)], { type: 'application/json', encoding: 'identity' })
    assert.deepEqual(factsOf(seen), SEEN)
  })

  const hopeless: [name: string, encoding: string, bytes: Buffer][] = [
    ['an encoding that is not known', 'compress', Buffer.from(DOCUMENT)],
    ['two encodings', 'gzip, br', Buffer.from(DOCUMENT)],
    ['what is not gzip', 'gzip', Buffer.from(DOCUMENT)],
    ['a gzip that is cut short', 'gzip', zlib.gzipSync(DOCUMENT).subarray(0, -12)],
    ['a zstd window larger than HTTP allows', 'zstd', zstdWithWindow(26)],
  ]
  for (const [name, encoding, bytes] of hopeless) {
    test(`${name} is given up`, async () => {
      const { seen, received } = await observeChunks([bytes], { type: 'application/json', encoding })
      assert.equal(seen.result, 'compressed')
      assert.deepEqual(received, bytes)
    })
  }

  test('a bomb is given up at the bound, and no memory is kept for it', async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(64 * MIB, '\n'))
    const { seen, received } = await observeChunks(
      cut(bomb, [1000, 2000, 3000]),
      { type: SSE_TYPE, encoding: 'gzip' },
      { maxInflatedBytes: 8 * MIB },
    )
    assert.equal(seen.result, 'compressed')
    assert.deepEqual(received, bomb)
  })

  test('what follows the compressed data does not keep its end from being seen', async () => {
    for (const compress of [zlib.gzipSync, zlib.deflateSync]) {
      const stream = new PassThrough()
      stream.resume()
      const { promise, resolve } = Promise.withResolvers<Observation>()
      const encoding = compress === zlib.gzipSync ? 'gzip' : 'deflate'
      follow(createResponseObserver({ onError: fail }), stream, { type: 'application/json', encoding }, resolve)
      stream.write(Buffer.concat([compress(DOCUMENT), Buffer.alloc(4)]))
      // Long enough for zlib's thread to have ended by itself.
      for (let turns = 0; turns < 200; turns++) await turn()
      await new Promise(done => zlib.gzip('later', done))
      stream.end()
      assert.equal((await promise).completionId, 'a')
    }
  })

  test('more inflating at once than memory is allowed for is given up', async () => {
    const observer = createResponseObserver({ onError: fail }, { maxMemoryBytes: 200 * KIB })
    const seen: Observation[] = []
    const streams = Array.from({ length: 4 }, () => {
      const stream = new PassThrough()
      stream.resume()
      follow(observer, stream, { type: 'application/json', encoding: 'gzip' }, one => seen.push(one))
      return stream
    })
    const bytes = zlib.gzipSync(DOCUMENT)
    for (const stream of streams) stream.write(bytes.subarray(0, 12))
    await turn()
    for (const stream of streams) stream.end(bytes.subarray(12))
    await until('all four', () => seen.length === 4)
    const count = (result: string) => seen.filter(one => one.result === result).length
    assert.ok(count('complete') >= 1 && count('compressed') >= 1, JSON.stringify(seen.map(one => one.result)))
    assert.equal(count('complete') + count('compressed'), 4)
  })
})

suite('memory', () => {
  test('case 40: all that was held is given back, however answers end', async () => {
    // Room for one document at a time: what is not given back is soon missing.
    const observer = createResponseObserver({ onError: fail }, { maxMemoryBytes: 600 * KIB })
    const document = Buffer.from(`{"id":"a","model":"m","choices":[{"text":"${'x'.repeat(100 * KIB)}"}]}`)
    const observe = async (write: (stream: PassThrough) => void | Promise<void>, type: string, encoding?: string) => {
      const stream = new PassThrough()
      stream.resume()
      const { promise, resolve } = Promise.withResolvers<Observation>()
      follow(observer, stream, { type, encoding }, resolve)
      await write(stream)
      return (await promise).result
    }
    const half = async (stream: PassThrough) => {
      stream.write(document.subarray(0, 50 * KIB))
      await turn()
      stream.destroy()
    }
    const torn = `data: ${'x'.repeat(50 * KIB)}`
    for (let round = 0; round < 20; round++) {
      assert.equal(await observe(half, 'application/json'), 'broken_off')
      assert.equal(await observe(half, SSE_TYPE), 'broken_off')
      assert.equal(await observe(stream => void stream.end(torn), SSE_TYPE), 'unreadable')
      assert.equal(
        await observe(stream => void stream.end(zlib.gzipSync(document)), 'application/json', 'gzip'),
        'complete',
      )
      assert.equal(await observe(stream => void stream.end(document), 'application/json', 'gzip'), 'compressed')
      assert.equal(await observe(stream => void stream.end(document), 'application/json'), 'complete')
    }
  })

  test('an observer that falls behind gives up at once, says so, and recovers', async () => {
    const observer = createResponseObserver({ onError: fail }, { maxMemoryBytes: 256 * KIB })
    const observe = (chunks: number) => {
      const { promise, resolve } = Promise.withResolvers<Observation>()
      const stream = new PassThrough({ highWaterMark: 64 * MIB })
      stream.resume()
      follow(observer, stream, { type: SSE_TYPE, encoding: undefined }, resolve)
      for (let index = 0; index < chunks; index++) stream.write(Buffer.from(`data: ${DOCUMENT}\n\n`.repeat(1000)))
      stream.end()
      return promise
    }
    assert.equal((await observe(100)).result, 'gave_up')
    assert.equal((await observe(1)).result, 'complete')
  })

  test('a stream without line ends keeps no more than the bound', async () => {
    const allowance = new Allowance(MIB)
    const carry = new Carry(256 * KIB, allowance)
    let appended = 0
    while (carry.append(Buffer.of(120))) appended++
    assert.equal(appended, 256 * KIB)
    assert.equal(allowance.take(MIB - 256 * KIB + 1), false)
    carry.release()
    assert.equal(allowance.take(MIB), true)
  })
})

/** A frame header (RFC 8878) that asks for a window of 2^log bytes, and a raw block behind it. */
function zstdWithWindow(log: number): Buffer {
  const block = randomBytes(16)
  return Buffer.concat([
    Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3),
    Buffer.of(((block.length << 3) | 1) & 0xff, block.length >> 5, 0),
    block,
  ])
}
