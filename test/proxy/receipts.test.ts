import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import type { AnswerRecord } from '../../proxy/answer-index.ts'
import { createReceipts } from '../../proxy/receipts.ts'

const record: AnswerRecord = {
  requestId: 'qis-00112233445566778899aabbccddeeff',
  code: 'a3f7c9d1b2e40000',
  domain: 'clinical.oncology',
  model: 'llama-3.1-8b-instruct',
  intervention: 0,
  time: 1_760_000_000,
}
const at = (seconds: number) => () => seconds * 1000
const key = Buffer.alloc(32, 7)

suite('receipts', () => {
  test('are opened by any replica with the key, and by no one else', () => {
    const one = createReceipts(key, { clock: at(record.time) })
    const other = createReceipts(key, { clock: at(record.time) })
    assert.deepEqual(other.open(one.seal(record)), record)
    const stranger = createReceipts(randomBytes(32), { clock: at(record.time) })
    assert.throws(() => stranger.open(one.seal(record)), { code: 'receipt_invalid', field: 'receipt' })
  })

  test('tell nothing of what they hold, and fit into a header', () => {
    const token = createReceipts(key).seal(record)
    assert.match(token, /^[A-Za-z0-9_-]{100,600}$/)
    assert.ok(!Buffer.from(token, 'base64url').includes(record.domain))
  })

  test('are refused when one bit differs', () => {
    const receipts = createReceipts(key, { clock: at(record.time) })
    const bytes = Buffer.from(receipts.seal(record), 'base64url')
    for (let index = 0; index < bytes.length; index++) {
      const forged = Buffer.from(bytes)
      forged.writeUInt8(forged.readUInt8(index) ^ 1, index)
      assert.throws(() => receipts.open(forged.toString('base64url')), { code: 'receipt_invalid' })
    }
    for (const nonsense of ['', 'A', '!', 'A'.repeat(5_000)]) {
      assert.throws(() => receipts.open(nonsense), { code: 'receipt_invalid' })
    }
  })

  test('expire after the lifetime that was set', () => {
    const token = createReceipts(key).seal(record)
    const reader = (age: number) => createReceipts(key, { lifetimeS: 100, clock: at(record.time + age) })
    assert.deepEqual(reader(100).open(token), record)
    assert.throws(() => reader(101).open(token), { code: 'receipt_expired' })
  })

  test('of many other processes do not pile up', () => {
    const reader = createReceipts(key, { clock: at(record.time) })
    for (let process = 0; process < 100; process++) {
      assert.deepEqual(reader.open(createReceipts(key).seal(record)), record)
    }
  })
})
