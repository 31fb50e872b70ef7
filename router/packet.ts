/** Outcome ⇄ signed bytes: the wire format, and the one door in for bytes that someone else made. */
import type { PrivateKey } from '@libp2p/interface'
import { RecordEnvelope } from '@libp2p/peer-record'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { MODEL_PATTERN } from './model-variant.ts'
import { CODE_PATTERN, correctionTypes, DOMAIN_PATTERN, type Outcome, observers, STRATEGY_PATTERN } from './outcome.ts'
import type { Epsilon } from './randomised-response.ts'

/** The most that ever goes out or is read in. */
export const MAX_PACKET_BYTES = 512

/** An outcome as it leaves: which space its code belongs to, how long it lives, what noise was added. */
export interface Packet extends Outcome {
  /** 8 hex digits. */
  space: string
  /** Hours from `time`, 1..720. */
  ttlHours: number
  /** ε of randomised response, absent when the signal is as observed. */
  epsilon?: Epsilon
}

export interface OpenedPacket {
  packet: Packet
  /** Peer id of the signer. */
  author: string
}

export type PacketFault = 'oversize' | 'malformed' | 'not_canonical' | 'bad_signature'

export class PacketInvalidError extends Error {
  override readonly name = 'PacketInvalidError'
  readonly code = 'ERR_PACKET_INVALID'
  readonly fault: PacketFault

  constructor(fault: PacketFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}

const SIGNATURE_DOMAIN = 'qis-outcome-packet'
/** Names the payload inside the envelope; from the private-use range of the multicodec table. */
const PAYLOAD_TYPE = Uint8Array.of(0x30, 0x51, 0x01)
const HOUR_S = 3600

const literals = <T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(values.map(value => Type.Literal(value))))

/** Keys in wire order. Those that say nothing (no correction, plain prompt, not withdrawn) are left out. */
const Wire = Type.Object(
  {
    v: Type.Literal(1),
    sp: Type.String({ pattern: '^[0-9a-f]{8}$' }),
    d: Type.String({ pattern: DOMAIN_PATTERN }),
    qsh: Type.String({ pattern: CODE_PATTERN }),
    os: Type.Number({ minimum: 0, maximum: 1 }),
    ci: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    mv: Type.String({ pattern: MODEL_PATTERN }),
    ca: Type.Optional(Type.Literal(true)),
    ct: Type.Optional(literals(correctionTypes)),
    st: Type.Optional(Type.String({ pattern: STRATEGY_PATTERN })),
    ob: literals(observers),
    ad: Type.Optional(Type.Union([Type.Literal(1), Type.Literal(2)])),
    n: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    rv: Type.Integer({ minimum: 0, maximum: 255 }),
    op: Type.Optional(Type.Literal(1)),
    ep: Type.Optional(Type.Union([Type.Literal(1), Type.Literal(2), Type.Literal(4)])),
    ts: Type.Integer({ minimum: 0, maximum: 0xffffffff, multipleOf: HOUR_S }),
    ttl: Type.Integer({ minimum: 1, maximum: 720 }),
  },
  { additionalProperties: false },
)
type Wire = Static<typeof Wire>
const wireCheck = TypeCompiler.Compile(Wire)

/** The packet's canonical payload: JSON, keys in wire order, no spaces, at most 3 decimals, time floored to the hour. */
export function encodePayload(packet: Packet): string {
  const wire: Wire = {
    v: 1,
    sp: packet.space,
    d: packet.domain,
    qsh: packet.code,
    os: round3(packet.signal),
    ...(packet.confidence !== undefined && { ci: round3(packet.confidence) }),
    mv: packet.model,
    ...(packet.correction !== undefined && { ca: true as const, ct: packet.correction }),
    ...(packet.strategy !== undefined && { st: packet.strategy }),
    ob: packet.observer,
    ...(packet.intervention !== 0 && { ad: packet.intervention }),
    n: packet.answer,
    rv: packet.revision,
    ...(packet.withdrawn && { op: 1 as const }),
    ...(packet.epsilon !== undefined && { ep: packet.epsilon }),
    ts: floorToHour(packet.time),
    ttl: packet.ttlHours,
  }
  if (!wireCheck.Check(wire)) throw malformed(wire)
  return JSON.stringify(wire)
}

/** Finding out what is wrong costs more than finding out that something is. */
function malformed(wire: unknown): PacketInvalidError {
  const fault = wireCheck.Errors(wire).First()
  return new PacketInvalidError('malformed', `packet${fault?.path.replaceAll('/', '.')}: ${fault?.message}`)
}

/** @throws {PacketInvalidError} unless `payload` is exactly what `encodePayload` would write */
export function decodePayload(payload: string): Packet {
  let wire: unknown
  try {
    wire = JSON.parse(payload)
  } catch (cause) {
    throw new PacketInvalidError('malformed', 'the payload is not JSON', { cause })
  }
  if (!wireCheck.Check(wire)) throw malformed(wire)
  const packet: Packet = {
    space: wire.sp,
    domain: wire.d,
    code: wire.qsh,
    signal: wire.os,
    model: wire.mv,
    observer: wire.ob,
    intervention: wire.ad ?? 0,
    answer: wire.n,
    revision: wire.rv,
    withdrawn: wire.op === 1,
    time: wire.ts,
    ttlHours: wire.ttl,
    ...(wire.ci !== undefined && { confidence: wire.ci }),
    ...(wire.ct !== undefined && { correction: wire.ct }),
    ...(wire.st !== undefined && { strategy: wire.st }),
    ...(wire.ep !== undefined && { epsilon: wire.ep }),
  }
  if (encodePayload(packet) !== payload) {
    throw new PacketInvalidError('not_canonical', 'the payload is not in canonical form')
  }
  return packet
}

/**
 * Signs a packet in a libp2p envelope. The same key and packet give the same bytes (Ed25519 is deterministic).
 *
 * @throws {PacketInvalidError} when a field is out of bounds or the result would exceed 512 bytes
 */
export async function sealPacket(packet: Packet, privateKey: PrivateKey): Promise<Uint8Array> {
  const payload = Buffer.from(encodePayload(packet), 'utf8')
  const record = { domain: SIGNATURE_DOMAIN, codec: PAYLOAD_TYPE, marshal: () => payload, equals: () => false }
  const bytes = (await RecordEnvelope.seal(record, privateKey)).marshal()
  if (bytes.length > MAX_PACKET_BYTES) {
    throw new PacketInvalidError(
      'oversize',
      `the packet is ${bytes.length} bytes long, ${MAX_PACKET_BYTES} are allowed`,
    )
  }
  return bytes
}

/**
 * Reads bytes of unknown origin. Accepts only what re-marshals to itself, since an envelope with an unknown field
 * would still verify and could then exist in many byte forms. The costly signature check comes last.
 *
 * @param screen looks at the unverified packet and throws to spare the signature check
 * @throws {PacketInvalidError} or what `screen` throws
 */
export async function openPacket(bytes: Uint8Array, screen?: (packet: Packet) => void): Promise<OpenedPacket> {
  if (bytes.length > MAX_PACKET_BYTES) {
    throw new PacketInvalidError('oversize', `${bytes.length} bytes were received, ${MAX_PACKET_BYTES} are allowed`)
  }
  const envelope = readEnvelope(bytes)
  const packet = decodePayload(readUtf8(envelope.payload))
  screen?.(packet)
  if (!(await isSigned(envelope))) {
    throw new PacketInvalidError('bad_signature', 'the signature does not belong to this payload')
  }
  return { packet, author: envelope.publicKey.toString() }
}

async function isSigned(envelope: RecordEnvelope): Promise<boolean> {
  try {
    return await envelope.validate(SIGNATURE_DOMAIN)
  } catch (cause) {
    // Thrown for a signature that is not 64 bytes long.
    throw new PacketInvalidError('bad_signature', 'the signature cannot be checked', { cause })
  }
}

/** Reads bytes that were verified before they were kept; looks at no signature. */
export function readKeptPacket(bytes: Uint8Array): OpenedPacket {
  const envelope = readEnvelope(bytes)
  return { packet: decodePayload(readUtf8(envelope.payload)), author: envelope.publicKey.toString() }
}

function readEnvelope(bytes: Uint8Array): RecordEnvelope {
  let envelope: RecordEnvelope
  try {
    envelope = RecordEnvelope.createFromProtobuf(bytes)
  } catch (cause) {
    throw new PacketInvalidError('malformed', 'the bytes are no envelope', { cause })
  }
  if (envelope.publicKey.type !== 'Ed25519' || !equal(envelope.payloadType, PAYLOAD_TYPE)) {
    throw new PacketInvalidError('malformed', 'the envelope does not hold an outcome packet')
  }
  // The public key is marshalled by the envelope itself, so it is covered as well.
  if (!equal(envelope.marshal(), bytes)) {
    throw new PacketInvalidError('not_canonical', 'the envelope does not re-marshal to itself')
  }
  return envelope
}

function readUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new PacketInvalidError('malformed', 'the payload is not UTF-8', { cause })
  }
}

/** Unix seconds after which the packet is no evidence any more. */
export function expiresAt(packet: Packet): number {
  return packet.time + packet.ttlHours * HOUR_S
}

export function floorToHour(unixSeconds: number): number {
  return Math.floor(unixSeconds / HOUR_S) * HOUR_S
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
