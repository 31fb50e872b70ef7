import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import {
  decodePayload,
  encodePayload,
  expiresAt,
  MAX_PACKET_BYTES,
  openPacket,
  type Packet,
  sealPacket,
} from '../../router/packet.ts'
import { envelope, seedOf, signer } from '../support/envelope.ts'
import { anyPacket, aPacket, keyOf, NOW } from '../support/router-support.ts'

describe('a packet', () => {
  it('comes back as it was sealed', async () => {
    const key = await keyOf(1)
    await fc.assert(
      fc.asyncProperty(anyPacket, async packet => {
        const bytes = await sealPacket(packet, key)
        assert.ok(bytes.length <= MAX_PACKET_BYTES)
        assert.deepEqual(await openPacket(bytes), { packet, author: key.publicKey.toString() })
        assert.deepEqual(decodePayload(encodePayload(packet)), packet)
      }),
    )
  })

  it('is rounded to 3 decimals and to the hour before', () => {
    const rounded = decodePayload(encodePayload(aPacket({ signal: 0.12351, confidence: 1 / 3, time: NOW + 3599 })))
    assert.deepEqual([rounded.signal, rounded.confidence, rounded.time], [0.124, 0.333, NOW])
  })

  it('of the largest kind has 392 bytes', async () => {
    const largest = aPacket({
      domain: 'd'.repeat(32),
      code: 'f'.repeat(16),
      signal: 0.999,
      confidence: 0.999,
      model: 'm'.repeat(24),
      correction: 'reasoning',
      strategy: 's'.repeat(16),
      intervention: 2,
      revision: 255,
      withdrawn: true,
      epsilon: 4,
      time: 0xffffffff,
      ttlHours: 720,
    })
    const { length } = await sealPacket(largest, await keyOf(1))
    assert.equal(length, 392)
    assert.ok(length <= MAX_PACKET_BYTES)
    await fc.assert(
      fc.asyncProperty(anyPacket, async packet => {
        assert.ok(encodePayload(packet).length <= encodePayload(largest).length)
      }),
    )
  })

  it('above 512 bytes is neither sent nor read', async () => {
    const wide = await generateKeyPair('RSA', 2048)
    await assert.rejects(sealPacket(aPacket(), wide), { code: 'ERR_PACKET_INVALID', fault: 'oversize' })
    await assert.rejects(openPacket(new Uint8Array(513)), { code: 'ERR_PACKET_INVALID', fault: 'oversize' })
    await assert.rejects(openPacket(new Uint8Array(512)), { code: 'ERR_PACKET_INVALID', fault: 'malformed' })
  })

  it('lives for its hours from its time', () => {
    assert.equal(expiresAt(aPacket({ time: NOW, ttlHours: 2 })), NOW + 7200)
  })

  it('whose signature has another length than 64 bytes is refused', async () => {
    for (const length of [0, 1, 63, 65]) {
      const bytes = envelope({
        payload: encodePayload(aPacket()),
        ...signer(seedOf(1)),
        signature: Buffer.alloc(length),
      })
      await assert.rejects(openPacket(bytes), { code: 'ERR_PACKET_INVALID', fault: /bad_signature|not_canonical/ })
    }
  })

  it('is shown to the screen before its signature is checked', async () => {
    const bytes = envelope({ payload: encodePayload(aPacket()), ...signer(seedOf(1)), signature: Buffer.alloc(64) })
    const seen: Packet[] = []
    const screened = openPacket(bytes, packet => {
      seen.push(packet)
      throw new RangeError('not today')
    })
    await assert.rejects(screened, RangeError)
    assert.deepEqual(seen, [aPacket()])
    await assert.rejects(openPacket(bytes), { fault: 'bad_signature' })
  })
})

describe('a field', () => {
  const bounds: { [field in keyof Packet]?: [good: unknown[], bad: unknown[]] } = {
    space: [['00000000'], ['', '0123abc', '0123abcde', '0123ABCD']],
    domain: [
      ['a', '0', 'a.b_c-d', 'd'.repeat(32)],
      ['', '.a', 'A', 'a b', 'é', 'd'.repeat(33), 'a\n'],
    ],
    code: [
      ['00', 'f'.repeat(16)],
      ['', '0', 'f'.repeat(17), 'FF', '0g'],
    ],
    signal: [
      [0, 1, 0.001],
      [-0.001, 1.001, Number.NaN, Number.POSITIVE_INFINITY],
    ],
    confidence: [
      [0, 1],
      [-0.001, 1.001, Number.NaN],
    ],
    model: [
      ['x', 'm'.repeat(24), 'a.b_c:d+e~f-g'],
      ['', 'm'.repeat(25), 'M', 'a/b', 'é'],
    ],
    correction: [
      ['factual', 'reasoning', 'format', 'safety', 'other'],
      ['', 'rude', 1, null],
    ],
    strategy: [
      ['s', 's'.repeat(16)],
      ['', 's'.repeat(17), 'S', '-s'],
    ],
    observer: [
      ['h', 'e', 'i'],
      ['', 'x', 'H'],
    ],
    intervention: [
      [0, 1, 2],
      [3, -1, '1', 0.5],
    ],
    answer: [['0'.repeat(16)], ['', '0'.repeat(15), '0'.repeat(17), 'G'.repeat(16), 'A'.repeat(16)]],
    revision: [
      [0, 255],
      [-1, 256, 0.5, '0'],
    ],
    epsilon: [
      [1, 2, 4],
      [0, 3, 8, '1'],
    ],
    time: [
      [0, NOW, 0xffffffff],
      [-1, 2 ** 32 + 3600, Number.NaN],
    ],
    ttlHours: [
      [1, 720],
      [0, 721, 1.5, '1'],
    ],
  }
  for (const [field, [good, bad]] of Object.entries(bounds)) {
    it(`${field} has its bounds`, async () => {
      const key = await keyOf(1)
      for (const value of good) await sealPacket({ ...aPacket(), [field]: value }, key)
      for (const value of bad) {
        await assert.rejects(
          sealPacket({ ...aPacket(), [field]: value }, key),
          { code: 'ERR_PACKET_INVALID', fault: 'malformed' },
          `${field}: ${value}`,
        )
      }
    })
  }

  it('out of bounds is refused on the way in as well', () => {
    const payload = encodePayload(aPacket({ confidence: 0.5 }))
    const outside: [string, string][] = [
      ['"ci":0.5', '"ci":1.5'],
      ['"os":1', '"os":-1'],
      ['"d":"general"', '"d":"General"'],
      ['"ob":"h"', '"ob":"x"'],
      ['"rv":0', '"rv":256'],
      ['"rv":0', '"rv":0.5'],
      ['"ttl":168', '"ttl":721'],
      [`"ts":${NOW}`, `"ts":${NOW + 1}`],
      [`"ts":${NOW}`, '"ts":4294969200'],
    ]
    for (const [inside, out] of outside) {
      assert.ok(payload.includes(inside))
      assert.throws(() => decodePayload(payload.replace(inside, out)), { code: 'ERR_PACKET_INVALID' }, out)
    }
  })
})
