import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fromTopic, rootLabel, routingKey, toCid, toTopic } from '../../router/keyspace.ts'

test('the key is the SHA-256 of the length-prefixed parts', () => {
  const bytes = Buffer.from('\x05qis/1\x080123abcd\x08clinical\x02a3', 'latin1')
  assert.equal(routingKey('0123abcd', 'clinical', 0xa3), createHash('sha256').update(bytes).digest('hex'))
})

test('only the first label of a domain counts', () => {
  assert.equal(rootLabel('clinical.oncology.trials'), 'clinical')
  assert.equal(rootLabel('clinical'), 'clinical')
  assert.equal(rootLabel(''), '')
  assert.equal(routingKey('0123abcd', 'clinical.oncology', 5), routingKey('0123abcd', 'clinical', 5))
})

test('space, domain and cell each change the key', () => {
  const keys = [
    routingKey('0123abcd', 'clinical', 5),
    routingKey('0123abce', 'clinical', 5),
    routingKey('0123abcd', 'legal', 5),
    routingKey('0123abcd', 'clinical', 6),
    routingKey('0123abcd', '', 5),
  ]
  assert.equal(new Set(keys).size, keys.length)
})

test('every cell has its own key', () => {
  const keys = Array.from({ length: 256 }, (_, cell) => routingKey('0123abcd', 'general', cell))
  assert.equal(new Set(keys).size, 256)
})

test('the CID is version 1, raw, and carries the key as its SHA-256', () => {
  const key = routingKey('0123abcd', 'clinical', 5)
  const cid = toCid(key)
  assert.equal(cid.version, 1)
  assert.equal(cid.code, 0x55)
  assert.equal(cid.multihash.code, 0x12)
  assert.equal(Buffer.from(cid.multihash.digest).toString('hex'), key)
})

test('a topic leads back to its key, and foreign topics to none', () => {
  const key = routingKey('0123abcd', 'clinical', 5)
  assert.equal(fromTopic(toTopic(key)), key)
  for (const topic of [
    '',
    key,
    `qis/2/${key}`,
    `qis/1/${key}0`,
    `qis/1/${key.slice(1)}`,
    `qis/1/${key.toUpperCase()}`,
    `x${toTopic(key)}`,
  ]) {
    assert.equal(fromTopic(topic), undefined, topic)
  }
})
