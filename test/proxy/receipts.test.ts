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
const key = [Buffer.alloc(32, 7)] as const

suite('receipts', () => {
  test('are opened by any replica with the key, and by no one else', () => {
    const one = createReceipts(key, { clock: at(record.time) })
    const other = createReceipts(key, { clock: at(record.time) })
    assert.deepEqual(other.open(one.seal(record)), record)
    const stranger = createReceipts([randomBytes(32)], { clock: at(record.time) })
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

  test('outlive their key: the first key seals, all open, and one taken out opens nothing more', () => {
    const [old, young] = [randomBytes(32), randomBytes(32)]
    const clock = at(record.time)
    const before = createReceipts([old], { clock })
    const rotated = createReceipts([young, old], { clock })
    const after = createReceipts([young], { clock })
    const given = before.seal(record)
    assert.deepEqual(rotated.open(given), record)
    assert.deepEqual(after.open(rotated.seal(record)), record)
    assert.throws(() => after.open(given), { code: 'receipt_invalid' })
    assert.throws(() => before.open(rotated.seal(record)), { code: 'receipt_invalid' })
  })

  test('100,000 forged, altered or expired ones: none is accepted, and the true one still is', () => {
    const receipts = createReceipts([randomBytes(32), ...key], { clock: at(record.time + 100), lifetimeS: 50 })
    const fresh = receipts.seal({ ...record, time: record.time + 90 })
    const stranger = createReceipts([randomBytes(32)])
    const bytes = Buffer.from(fresh, 'base64url')
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .'
    const pick = (below: number) => Math.floor(Math.random() * below)
    const forge: ((n: number) => string)[] = [
      () => randomBytes(29 + pick(300)).toString('base64url'),
      () => Buffer.concat([bytes.subarray(0, 29), randomBytes(100)]).toString('base64url'),
      n => {
        const altered = Buffer.from(bytes)
        const at = n % bytes.length
        altered.writeUInt8(altered.readUInt8(at) ^ (1 + pick(255)), at)
        return altered.toString('base64url')
      },
      () => bytes.subarray(0, pick(bytes.length)).toString('base64url'),
      () => Buffer.concat([bytes, randomBytes(1 + pick(20))]).toString('base64url'),
      // The decoder alone would read these as the true one.
      n => `${fresh}${alphabet[n % alphabet.length]}`,
      n => `${fresh.slice(0, n % fresh.length)}\n${fresh.slice(n % fresh.length)}`,
      () => `${fresh.slice(0, -1)}${alphabet[pick(64)]}`,
      () => stranger.seal(record),
      () => receipts.seal({ ...record, time: record.time + 49 - pick(1_000) }),
    ]
    let accepted = 0
    for (let n = 0; n < 100_000; n++) {
      const token = forge[n % forge.length]?.(n) ?? ''
      if (token === fresh) continue
      try {
        receipts.open(token)
        accepted++
      } catch (error) {
        assert.match((error as { code: string }).code, /^receipt_(?:invalid|expired)$/)
      }
    }
    assert.equal(accepted, 0)
    assert.equal(receipts.open(fresh).requestId, record.requestId)
  })
})
