/** Sealed tokens that carry all that feedback needs, so that any replica with the key can take it, restarts included. */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import type { AnswerRecord } from './answer-index.ts'
import { HttpError } from './errors.ts'

export interface Receipts {
  /** A token of about 300 URL-safe characters for what is known when the headers leave. */
  seal(record: AnswerRecord): string
  /** @throws {HttpError} receipt_invalid or receipt_expired */
  open(token: string): AnswerRecord
}

/** version (1) · key salt (16) · nonce (12) · AES-256-GCM ciphertext · tag (16) */
const VERSION = 1
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NONCE_AT = 1 + SALT_BYTES
const HEADER_BYTES = NONCE_AT + NONCE_BYTES
const MAX_TOKEN_CHARS = 2_048
/** Subkeys of other processes, replicas or earlier runs. */
const MAX_SUBKEYS = 64

/** @param masterKey 32 secret bytes */
function deriveSubkey(masterKey: Buffer, salt: Buffer): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', masterKey, salt, 'qis/1 receipt', 32)))
}

/**
 * @param masterKeys each 32 secret bytes: the first seals, all open, so that a key can be replaced while receipts under the
 *   old one are still out. Each process seals under a subkey of its own (HKDF-SHA-256, RFC 5869, with the salt in the
 *   token), under which its nonces are a counter: no two tokens share both
 */
export function createReceipts(
  masterKeys: readonly [Buffer, ...Buffer[]],
  { lifetimeS = 7 * 24 * 3600, clock = Date.now } = {},
): Receipts {
  /** By salt; only keys that have opened something, so that forged tokens cannot push them out. */
  const subkeys = new Map<string, KeyObject>()
  const ownSalt = randomBytes(SALT_BYTES)
  const ownKey = deriveSubkey(masterKeys[0], ownSalt)
  subkeys.set(ownSalt.toString('hex'), ownKey)
  /** What every token begins with; the rest of the nonce counts. */
  const prefix = Buffer.concat([Buffer.of(VERSION), ownSalt, Buffer.alloc(NONCE_BYTES)])
  let sealed = 0n

  return {
    seal(record) {
      const header = Buffer.from(prefix)
      header.writeBigUInt64BE(sealed++, HEADER_BYTES - 8)
      const cipher = createCipheriv('aes-256-gcm', ownKey, header.subarray(NONCE_AT)).setAAD(header)
      const text = cipher.update(JSON.stringify(record), 'utf8')
      // In this mode nothing is left for the end, but without it there is no tag.
      cipher.final()
      return Buffer.concat([header, text, cipher.getAuthTag()]).toString('base64url')
    },
    open(token) {
      const record = unseal(token)
      if (record.time + lifetimeS < clock() / 1000) {
        throw new HttpError('receipt_expired', 'this receipt has expired', { field: 'receipt' })
      }
      return record
    },
  }

  function unseal(token: string): AnswerRecord {
    const bytes = token.length <= MAX_TOKEN_CHARS ? Buffer.from(token, 'base64url') : Buffer.alloc(0)
    // Decoding passes over what is no base64url, so that many texts would stand for the same bytes: one is enough.
    const wellFormed = bytes.length > HEADER_BYTES + TAG_BYTES && bytes[0] === VERSION
    const text = wellFormed && bytes.toString('base64url') === token ? decipher(bytes) : undefined
    if (text === undefined) {
      throw new HttpError('receipt_invalid', 'this is not a receipt of this deployment', { field: 'receipt' })
    }
    return JSON.parse(text) as AnswerRecord
  }

  function decipher(bytes: Buffer): string | undefined {
    const salt = bytes.subarray(1, NONCE_AT)
    const name = salt.toString('hex')
    const known = subkeys.get(name)
    if (known) return tryKey(known, bytes)
    for (const masterKey of masterKeys) {
      const key = deriveSubkey(masterKey, salt)
      const text = tryKey(key, bytes)
      if (text === undefined) continue
      const oldest = subkeys.keys().find(held => subkeys.get(held) !== ownKey)
      if (subkeys.size >= MAX_SUBKEYS && oldest !== undefined) subkeys.delete(oldest)
      subkeys.set(name, key)
      return text
    }
    return undefined
  }
}

/** Undefined unless these bytes were sealed under this key. */
function tryKey(key: KeyObject, bytes: Buffer): string | undefined {
  const header = bytes.subarray(0, HEADER_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, header.subarray(NONCE_AT), { authTagLength: TAG_BYTES })
    .setAAD(header)
    .setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return decipher.update(bytes.subarray(HEADER_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}
