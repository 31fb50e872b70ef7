import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { decodePayload, encodePayload, expiresAt, openPacket, readKeptPacket } from '../../router/packet.ts'
import { goldenVectors } from '../fixtures/packet-v1.ts'
import { DOMAIN, envelope, signer, TYPE } from '../support/envelope.ts'
import { idOf, readPacket, routingKeyOf } from '../support/other-reader.ts'

type Golden = Awaited<ReturnType<typeof goldenVectors>>
const golden = JSON.parse(readFileSync(new URL('../fixtures/packet-v1.json', import.meta.url), 'utf8')) as Golden

it('the golden vectors are what this version writes: the format has not moved', async () => {
  assert.deepEqual(golden, await goldenVectors())
  assert.equal(golden.signature_domain, DOMAIN)
  assert.equal(golden.payload_type, TYPE.toString('hex'))
})

describe('a golden packet', () => {
  for (const { name, seed, public_key, author, payload, bytes, length, id, expires } of golden.packets) {
    const whole = Buffer.from(bytes, 'hex')

    it(`(${name}) is read, with its author`, async () => {
      const opened = await openPacket(whole)
      assert.deepEqual(opened, { packet: decodePayload(payload), author })
      assert.deepEqual(readKeptPacket(whole), opened)
      assert.equal(encodePayload(opened.packet), payload)
      assert.equal(expiresAt(opened.packet), expires)
      assert.equal(whole.length, length)
    })

    it(`(${name}) is read by another implementation in the same way`, () => {
      const read = readPacket(whole)
      assert.ok(typeof read !== 'string', String(read))
      assert.equal(read.payload, payload)
      assert.equal(Buffer.from(read.publicKey).toString('hex'), public_key)
      assert.equal(read.peerId, author)
      assert.equal(idOf(whole), id)
    })

    it(`(${name}) is a libp2p signed envelope (RFC 0002), built here by hand`, () => {
      const built = envelope({ payload, ...signer(Buffer.from(seed, 'hex')) })
      assert.equal(built.toString('hex'), bytes)
    })
  }

  it('is refused when any of its bits is turned, or when it is cut short anywhere', async () => {
    const whole = Buffer.from(golden.packets.find(({ name }) => name.startsWith('every'))?.bytes ?? '', 'hex')
    await openPacket(whole)
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const changed = Buffer.from(whole)
      changed[bit >> 3] = (whole[bit >> 3] as number) ^ (1 << (bit & 7))
      await assert.rejects(openPacket(changed), { code: 'ERR_PACKET_INVALID' }, `bit ${bit}`)
    }
    for (let length = 0; length < whole.length; length++) {
      await assert.rejects(openPacket(whole.subarray(0, length)), { code: 'ERR_PACKET_INVALID' }, `${length} bytes`)
    }
  })
})

describe('golden bytes that are no packet', () => {
  for (const { why, fault, bytes } of golden.refused) {
    it(`are refused by both implementations: ${why}`, async () => {
      await assert.rejects(openPacket(Buffer.from(bytes, 'hex')), { code: 'ERR_PACKET_INVALID', fault })
      assert.equal(typeof readPacket(Buffer.from(bytes, 'hex')), 'string')
    })
  }

  it('are all different, and none is one that is accepted', () => {
    const all = [...golden.refused, ...golden.packets].map(({ bytes }) => bytes)
    assert.equal(new Set(all).size, all.length)
  })
})

it('golden routing keys, CIDs and topics come out of another implementation', () => {
  for (const { space, domain, cell, key, cid, topic } of golden.places) {
    assert.equal(routingKeyOf(space, domain, cell), key)
    assert.equal(topic, `qis/1/${key}`)
    // CIDv1: version 1, codec raw (55), SHA-256 (12) of 32 bytes; base32 without padding after a b.
    assert.equal(cid, `b${base32(Buffer.from(`01551220${key}`, 'hex'))}`)
  }
})

it('golden requests for packets are a length, a key, an offset and a limit', () => {
  for (const { key, offset, limit, frame } of golden.sync_requests) {
    const bytes = Buffer.from(frame, 'hex')
    assert.equal(bytes[0], bytes.length - 1)
    assert.equal(bytes.toString('hex', 1, 33), key)
    assert.deepEqual([bytes.readUInt32BE(33), bytes.readUInt16BE(37), bytes.length], [offset, limit, 39])
  }
})

function base32(bytes: Buffer): string {
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? [])
    .map(five => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}
