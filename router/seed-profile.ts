/**
 * The packet of the published QIS pattern, for programs that know no other: its codec, without the reference's faults.
 *
 * Such a packet is not signed: anybody can write one about anything. Nothing in the swarm sends or believes it; whoever
 * reads one may give it the weight of an unknown peer at most.
 */
import { createHash } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { CODE_PATTERN } from './outcome.ts'

export const MAX_SEED_BYTES = 512

const SeedPacket = Type.Object(
  {
    /** Domain, at most 32 bytes, without a colon. */
    d: Type.String({ minLength: 1 }),
    /** Fingerprint. */
    qsh: Type.String({ pattern: CODE_PATTERN }),
    /** Outcome, 0 bad … 1 good. */
    os: Type.Number({ minimum: 0, maximum: 1 }),
    /** The model's own confidence. */
    ci: Type.Number({ minimum: 0, maximum: 1 }),
    /** Model, at most 24 bytes. */
    mv: Type.String({ minLength: 1 }),
    /** Whether the answer was corrected, and how (at most 16 bytes). */
    ca: Type.Boolean(),
    ct: Type.Union([Type.Null(), Type.String()]),
    /** Unix seconds. */
    ts: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
    /** Life in hours. */
    ttl: Type.Integer({ minimum: 1, maximum: 720 }),
  },
  { additionalProperties: false },
)
export type SeedPacket = Static<typeof SeedPacket>
const check = TypeCompiler.Compile(SeedPacket)

/** Bytes of UTF-8. */
const ROOM = { d: 32, mv: 24, ct: 16 } as const
const MAX_CLOCK_SKEW_S = 2 * 3600
const HOUR_S = 3600

export type SeedFault = 'oversize' | 'malformed' | 'from_future' | 'expired' | 'known'

export class SeedInvalidError extends Error {
  override readonly name = 'SeedInvalidError'
  readonly code = 'ERR_SEED_INVALID'
  readonly fault: SeedFault

  constructor(fault: SeedFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}

/**
 * Where the reference keeps a packet: 32 hex digits.
 *
 * @throws {SeedInvalidError} for a domain with a colon, which would share its key with another question
 */
export function seedKey(domain: string, code: string): string {
  if (domain.includes(':')) throw new SeedInvalidError('malformed', 'a domain of the reference profile has no colon')
  return createHash('sha256').update(`${domain}:${code}`).digest('hex').slice(0, 32)
}

/**
 * Writes a packet. Strings are brought to NFC and cut, at a code point, to the bytes there is room for; the key is that of
 * what is written.
 *
 * @throws {SeedInvalidError} when a field is out of bounds
 */
export function encodeSeed(packet: SeedPacket): { key: string; bytes: Uint8Array } {
  const { d, mv, ct } = packet
  const fitting: SeedPacket = {
    ...packet,
    d: fit(d, ROOM.d),
    mv: fit(mv, ROOM.mv),
    ct: ct === null ? null : fit(ct, ROOM.ct),
  }
  assertSound(fitting)
  return { key: seedKey(fitting.d, fitting.qsh), bytes: Buffer.from(canonical(fitting)) }
}

/**
 * Reads bytes of unknown origin, whatever their spaces and the order of their keys. Looks at no clock; see
 * `createSeedReader`.
 *
 * @throws {SeedInvalidError}
 */
export function decodeSeed(bytes: Uint8Array): SeedPacket {
  if (bytes.length > MAX_SEED_BYTES) {
    throw new SeedInvalidError('oversize', `${bytes.length} bytes were received, ${MAX_SEED_BYTES} are allowed`)
  }
  let packet: unknown
  try {
    packet = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new SeedInvalidError('malformed', 'the bytes are not JSON in UTF-8', { cause })
  }
  assertSound(packet)
  return packet
}

export interface SeedReader {
  /** @throws {SeedInvalidError} for bytes that are no packet, and for one that is expired, early, or was read before */
  read(bytes: Uint8Array): SeedPacket
}

/** @param options.maxKnown packets remembered, so that none is read twice; when there are more, new ones are refused */
export function createSeedReader({ now }: { now(): number }, { maxKnown = 10_000 } = {}): SeedReader {
  /** When each packet that was read expires. */
  const known = new Map<string, number>()

  return {
    read(bytes) {
      const packet = decodeSeed(bytes)
      const expires = packet.ts + packet.ttl * HOUR_S
      if (packet.ts > now() + MAX_CLOCK_SKEW_S)
        throw new SeedInvalidError('from_future', 'the packet is from the future')
      if (expires <= now()) throw new SeedInvalidError('expired', 'the packet has expired')
      // What it says is what makes it the same: its spaces and the order of its keys are anybody's choice.
      const id = createHash('sha256').update(canonical(packet)).digest('hex')
      if (known.has(id)) throw new SeedInvalidError('known', 'the packet was read before')
      if (known.size >= maxKnown) for (const [id, end] of known) if (end <= now()) known.delete(id)
      if (known.size >= maxKnown) throw new SeedInvalidError('known', `${maxKnown} packets live, and no more are read`)
      known.set(id, expires)
      return packet
    },
  }
}

function canonical({ d, qsh, os, ci, mv, ca, ct, ts, ttl }: SeedPacket): string {
  return JSON.stringify({ d, qsh, os: round3(os), ci: round3(ci), mv, ca, ct, ts, ttl })
}

function assertSound(packet: unknown): asserts packet is SeedPacket {
  if (!check.Check(packet)) {
    const fault = check.Errors(packet).First()
    throw new SeedInvalidError('malformed', `packet${fault?.path.replaceAll('/', '.')}: ${fault?.message}`)
  }
  for (const key of ['d', 'mv', 'ct'] as const) {
    const text = packet[key] ?? ''
    if (fit(text, ROOM[key]) !== text || /\p{Cc}|\p{Cs}/u.test(text)) {
      throw new SeedInvalidError('malformed', `packet.${key} is not NFC text of at most ${ROOM[key]} bytes`)
    }
  }
  if (packet.d.includes(':')) throw new SeedInvalidError('malformed', 'packet.d has a colon')
}

function fit(text: string, maxBytes: number): string {
  let kept = ''
  let bytes = 0
  for (const character of text.normalize('NFC')) {
    bytes += Buffer.byteLength(character)
    if (bytes > maxBytes) break
    kept += character
  }
  return kept
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000
}
