/**
 * Another implementation of the reading half of docs/protocol.md, written from that document alone: it shares no line and
 * no library with the program, so that the two can check each other.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'

export interface Read {
  /** 32 bytes. */
  publicKey: Uint8Array
  /** libp2p's name for the key. */
  peerId: string
  /** The signed text. */
  payload: string
  fields: Record<string, unknown>
}

const MAX_BYTES = 512
const DOMAIN = Buffer.from('qis-outcome-packet')
const PAYLOAD_TYPE = Buffer.from('305101', 'hex')
/** Protobuf of an Ed25519 key: type (field 1) is 1, data (field 2) has 32 bytes. */
const KEY_HEAD = Buffer.from('08011220', 'hex')
/** DER of an Ed25519 public key (RFC 8410) up to the 32 bytes. */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

const FRACTION = '(0|1|0\\.\\d{0,2}[1-9])'
const WHOLE = '(0|[1-9]\\d*)'
const PAYLOAD = new RegExp(
  [
    '^\\{"v":1,"sp":"[0-9a-f]{8}","d":"[a-z0-9][a-z0-9._-]{0,31}","qsh":"[0-9a-f]{2,16}"',
    `,"os":${FRACTION}(,"ci":${FRACTION})?,"mv":"[a-z0-9._:+~-]{1,24}"`,
    '(,"ca":true,"ct":"(factual|reasoning|format|safety|other)")?(,"st":"[a-z0-9][a-z0-9._-]{0,15}")?',
    `,"ob":"[hei]"(,"ad":[12])?,"n":"[0-9a-f]{16}","rv":${WHOLE}(,"op":1)?(,"ep":[124])?`,
    `,"ts":${WHOLE},"ttl":${WHOLE}\\}(?![^])`,
  ].join(''),
)

/** What the bytes say, or the reason for which they say nothing. */
export function readPacket(bytes: Uint8Array): Read | string {
  if (bytes.length > MAX_BYTES) return 'more than 512 bytes'
  const parts = readEnvelope(Buffer.from(bytes))
  if (!parts) return 'not the four fields 1, 2, 3 and 5 of an envelope, each once, in order, with the shortest lengths'
  const { key, type, payload, signature } = parts
  if (key.length !== 36 || !key.subarray(0, 4).equals(KEY_HEAD)) return 'not an Ed25519 key'
  if (!type.equals(PAYLOAD_TYPE)) return 'not an outcome packet'
  const text = payload.toString('latin1')
  if (!PAYLOAD.test(text)) return 'not a canonical payload'
  const fields = JSON.parse(text) as Record<string, unknown> & { rv: number; ts: number; ttl: number }
  if (fields.rv > 255) return 'rv is out of bounds'
  if (fields.ts > 0xffffffff || fields.ts % 3600 !== 0) return 'ts is out of bounds or not on the hour'
  if (fields.ttl < 1 || fields.ttl > 720) return 'ttl is out of bounds'
  if (signature.length !== 64) return 'not a signature'
  const raw = key.subarray(4)
  const signed = Buffer.concat([DOMAIN, type, payload].map(part => Buffer.concat([varint(part.length), part])))
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' })
  if (!verify(null, signed, publicKey, signature)) return 'signed by somebody else, or something else was signed'
  return { publicKey: raw, peerId: peerId(key), payload: text, fields }
}

/** The first 16 bytes of the SHA-256 of all bytes, in hex. */
export function idOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32)
}

/** 64 hex digits. */
export function routingKeyOf(space: string, domain: string, cell: number): string {
  const label = domain.split('.')[0] ?? ''
  const parts = ['qis/1', space, label, cell.toString(16).padStart(2, '0')]
  return createHash('sha256')
    .update(parts.map(part => String.fromCharCode(part.length) + part).join(''), 'latin1')
    .digest('hex')
}

function readEnvelope(bytes: Buffer) {
  let at = 0
  const field = (tag: number): Buffer | undefined => {
    if (bytes[at++] !== tag) return undefined
    let length = bytes[at++] ?? 0
    if (length >= 0x80) {
      const high = bytes[at++] ?? 0
      // 512 bytes need no third digit, and a last digit of 0 is not the shortest form.
      if (high === 0 || high >= 0x80) return undefined
      length += (high - 1) * 0x80
    }
    at += length
    return at <= bytes.length ? bytes.subarray(at - length, at) : undefined
  }
  const key = field(0x0a)
  const type = key && field(0x12)
  const payload = type && field(0x1a)
  const signature = payload && field(0x2a)
  if (!signature || at !== bytes.length) return undefined
  return { key, type, payload, signature }
}

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.of(value) : Buffer.of((value & 0x7f) | 0x80, value >> 7)
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Base58 of the identity multihash (00, length) of the marshalled key. */
function peerId(key: Buffer): string {
  const hash = Buffer.concat([Buffer.of(0, key.length), key])
  let rest = BigInt(`0x${hash.toString('hex')}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = BASE58[Number(rest % 58n)] + text
  // One leading zero byte, which base58 writes as a 1.
  return `1${text}`
}
