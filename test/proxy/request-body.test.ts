import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { limited, readBody } from '../../proxy/request-body.ts'

const streamOf = (chunks: readonly Uint8Array[]) =>
  Readable.from(
    chunks.map(chunk => Buffer.from(chunk)),
    { objectMode: false },
  )

suite('a request body', () => {
  test('is the same bytes whether it fits the bound or not, however it is cut into chunks', async () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat(400), async (parts, bound) => {
        const whole = Buffer.concat(parts)
        const { bytes, replay } = await readBody(streamOf(parts), bound)
        assert.equal(bytes !== undefined, whole.length <= bound)
        assert.deepEqual(bytes ?? (await buffer(replay as Readable)), whole)
      }),
    )
  })

  test('that ends early is the client’s fault, before the bound and after it', async () => {
    const broken = () =>
      new Readable({
        read() {
          this.push(Buffer.alloc(100))
          this.destroy(new Error('aborted'))
        },
      })
    await assert.rejects(readBody(broken(), 1_000), { code: 'bad_request' })
    const closed = new Readable({ read() {} })
    const reading = readBody(closed, 1_000)
    closed.destroy()
    await assert.rejects(reading, { code: 'bad_request' })
  })

  test('is refused as soon as it is larger than allowed', async () => {
    const parts = [Buffer.alloc(60), Buffer.alloc(60)]
    assert.equal((await buffer(limited(streamOf(parts), 120))).length, 120)
    await assert.rejects(buffer(limited(streamOf(parts), 119)), { code: 'body_too_large' })
  })
})
