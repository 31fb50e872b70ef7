import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forge } from './forge.ts'

test('no forged, altered or expired token or receipt is accepted, and the true ones still are', async () => {
  assert.deepEqual(await forge(4_000, 'the-true_token-9f2b7c'), {
    tokens: 2_000,
    receipts: 2_000,
    tokens_accepted: 0,
    receipts_accepted: 0,
    true_accepted: true,
  })
})
