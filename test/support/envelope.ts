/** A libp2p signed envelope made by hand, right or wrong: https://github.com/libp2p/specs/blob/master/RFC/0002-signed-envelopes.md */
import { createPrivateKey, sign } from 'node:crypto'

export const DOMAIN = 'qis-outcome-packet'
export const TYPE = Buffer.from([0x30, 0x51, 0x01])

export interface Signer {
  publicKey: Buffer
  signature: (payload: Buffer) => Buffer
}

export function signer(seed: Buffer, domain = DOMAIN, type = TYPE): Signer {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const raw = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
  return {
    publicKey: publicKeyOf(raw),
    signature: payload => sign(null, Buffer.concat([Buffer.from(domain), type, payload].map(prefixed)), key),
  }
}

export function envelope(parts: {
  publicKey: Buffer
  type?: Buffer
  payload: string | Buffer
  signature: Buffer | ((payload: Buffer) => Buffer)
}): Buffer {
  const payload = Buffer.from(parts.payload)
  const signature = typeof parts.signature === 'function' ? parts.signature(payload) : parts.signature
  const fields = [
    [1, parts.publicKey],
    [2, parts.type ?? TYPE],
    [3, payload],
    [5, signature],
  ] as const
  return Buffer.concat(
    fields.map(([field, bytes]) => Buffer.concat([Buffer.from([(field << 3) | 2]), prefixed(bytes)])),
  )
}

export function publicKeyOf(raw: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x08, 0x01, 0x12]), prefixed(raw)])
}

/** With its length before it, as an unsigned varint. */
function prefixed(bytes: Buffer): Buffer {
  const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7]
  return Buffer.concat([Buffer.from(length), bytes])
}

export function seedOf(byte: number): Buffer {
  return Buffer.alloc(32, byte)
}
