import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { encodePayload, openPacket, sealPacket } from '../../router/packet.ts'
import { DOMAIN, envelope, publicKeyOf, seedOf, signer, TYPE } from '../support/envelope.ts'
import { aPacket } from '../support/router-support.ts'

describe('a correctly signed packet', () => {
  const payload = encodePayload(aPacket({ confidence: 0.5, signal: 1 }))
  const rewritten: Record<string, [string, string]> = {
    'with spaces': [payload.replace('":', '": '), 'not_canonical'],
    'with a byte order mark': [`\ufeff${payload}`, 'malformed'],
    'with trailing white space': [`${payload}\n`, 'not_canonical'],
    'with keys in another order': [payload.replace(/("v":1),("sp":"[^"]*")/, '$2,$1'), 'not_canonical'],
    'with a key twice': [payload.replace('"os":1', '"os":0,"os":1'), 'not_canonical'],
    'with an unknown key': [payload.replace('}', ',"x":1}'), 'malformed'],
    'with __proto__': [payload.replace('}', ',"__proto__":{"x":1}}'), 'malformed'],
    'with 4 decimals': [payload.replace('0.5', '0.5001'), 'not_canonical'],
    'with trailing zeros': [payload.replace('0.5', '0.50'), 'not_canonical'],
    'with an exponent': [payload.replace('"os":1', '"os":1e0'), 'not_canonical'],
    'with minus zero': [payload.replace('"os":1', '"os":-0'), 'not_canonical'],
    'with an escaped letter': [payload.replace('general', '\\u0067eneral'), 'not_canonical'],
    'with a default spelt out': [payload.replace(',"n":', ',"ad":0,"n":'), 'malformed'],
    'with a correction of no kind': [payload.replace(',"ob":', ',"ca":true,"ob":'), 'not_canonical'],
    'with the kind of no correction': [payload.replace(',"ob":', ',"ct":"format","ob":'), 'not_canonical'],
    'with ca false': [payload.replace(',"ob":', ',"ca":false,"ob":'), 'malformed'],
    'of another version': [payload.replace('"v":1', '"v":2'), 'malformed'],
    'that is a list': [`[${payload}]`, 'malformed'],
    'that is null': ['null', 'malformed'],
    'that is no JSON': [payload.slice(1), 'malformed'],
    'that is empty': ['', 'not_canonical'],
  }
  for (const [how, [text, fault]] of Object.entries(rewritten)) {
    it(`${how} is refused`, async () => {
      assert.notEqual(text, payload)
      const bytes = envelope({ payload: text, ...signer(seedOf(1)) })
      await assert.rejects(openPacket(bytes), { code: 'ERR_PACKET_INVALID', fault })
    })
  }

  it('is accepted when nothing is wrong with it', async () => {
    const { packet } = await openPacket(envelope({ payload, ...signer(seedOf(1)) }))
    assert.equal(encodePayload(packet), payload)
  })

  it('that is not UTF-8 is refused', async () => {
    const bytes = Buffer.from(payload)
    bytes[bytes.indexOf('general')] = 0xff
    await assert.rejects(openPacket(envelope({ payload: bytes, ...signer(seedOf(1)) })), { fault: 'malformed' })
  })

  it('in an envelope that could be written otherwise is refused', async () => {
    const { publicKey, signature } = signer(seedOf(1))
    const parts = { payload, publicKey, signature }
    const good = envelope(parts)
    const forms = {
      'an unknown field': Buffer.concat([good, Buffer.from([0x30, 0x01])]),
      'a field twice': Buffer.concat([good, good.subarray(0, 38)]),
      'a long length': Buffer.concat([Buffer.from([0x0a, 0xa4, 0x00]), good.subarray(2)]),
      'an unknown field in the key': envelope({
        ...parts,
        publicKey: Buffer.concat([publicKey, Buffer.from([0x18, 1])]),
      }),
    }
    assert.deepEqual(good.subarray(0, 2), Buffer.from([0x0a, 0x24]))
    await openPacket(good)
    for (const [what, bytes] of Object.entries(forms)) {
      await assert.rejects(openPacket(bytes), { code: 'ERR_PACKET_INVALID', fault: 'not_canonical' }, what)
    }
  })

  it('for another purpose is refused', async () => {
    const borrowed = signer(seedOf(1), 'libp2p-peer-record')
    await assert.rejects(openPacket(envelope({ payload, ...borrowed })), { fault: 'bad_signature' })
    const type = Buffer.from([0x03, 0x01])
    const typed = signer(seedOf(1), DOMAIN, type)
    await assert.rejects(openPacket(envelope({ payload, ...typed, type })), { fault: 'malformed' })
  })

  it('under another kind of key is refused', async () => {
    const bytes = await sealPacket(aPacket(), await generateKeyPair('secp256k1'))
    await assert.rejects(openPacket(bytes), { code: 'ERR_PACKET_INVALID', fault: 'malformed' })
  })

  it('under the name of somebody else is refused', async () => {
    const { publicKey } = signer(seedOf(2))
    const bytes = envelope({ payload, ...signer(seedOf(1)), publicKey })
    await assert.rejects(openPacket(bytes), { fault: 'bad_signature' })
  })
})

describe('what is no packet', () => {
  it('is refused in the same way, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), bytes =>
        assert.rejects(openPacket(bytes), { code: 'ERR_PACKET_INVALID' }),
      ),
    )
  })

  it('is refused in the same way, whatever stands in the fields of an envelope', async () => {
    const bytes = fc.uint8Array({ maxLength: 80 }).map(array => Buffer.from(array))
    const real = { payload: encodePayload(aPacket()), ...signer(seedOf(1)) }
    const point = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(raw => publicKeyOf(Buffer.from(raw)))
    const fields = fc.record({
      type: fc.oneof(fc.constant(TYPE), bytes),
      publicKey: fc.oneof(fc.constant(real.publicKey), point, bytes),
      payload: fc.oneof(fc.constant(real.payload), fc.json(), bytes),
      signature: fc.oneof(
        bytes,
        fc.uint8Array({ minLength: 64, maxLength: 64 }).map(raw => Buffer.from(raw)),
      ),
    })
    await fc.assert(
      fc.asyncProperty(fields, parts => assert.rejects(openPacket(envelope(parts)), { code: 'ERR_PACKET_INVALID' })),
    )
  })
})
