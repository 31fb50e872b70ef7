/** What the tests of the router share: things to say, keys made from seeds, the shipped space, a folder that goes away. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import fc from 'fast-check'
import type { Evidence, EvidenceIndex } from '../../router/evidence.ts'
import type { DecodedCode } from '../../router/fingerprint.ts'
import { MODEL_PATTERN } from '../../router/model-variant.ts'
import {
  CODE_PATTERN,
  correctionTypes,
  DOMAIN_PATTERN,
  type Outcome,
  observers,
  STRATEGY_PATTERN,
} from '../../router/outcome.ts'
import type { Packet } from '../../router/packet.ts'
import { BRANCHES, CELLS, LEVELS, loadSpace, type Space } from '../../router/space.ts'

/** Unix seconds, on the hour. */
export const NOW = 500_000 * 3600

export function anOutcome(changes: Partial<Outcome> = {}): Outcome {
  return {
    answer: '00112233aabbccdd',
    code: 'a94a939de36cb2e6',
    domain: 'general',
    model: 'llama-3.1-8b-instruct',
    signal: 1,
    observer: 'h',
    intervention: 0,
    revision: 0,
    withdrawn: false,
    time: NOW,
    ...changes,
  }
}

export function aPacket(changes: Partial<Packet> = {}): Packet {
  return { ...anOutcome(), space: '0123abcd', ttlHours: 168, ...changes }
}

/** A decoded code of which only the cell matters. */
export function decodeCell(code: string): DecodedCode {
  return { cell: Number.parseInt(code.slice(0, 2), 16), digits: new Uint8Array(), norm: 1 }
}

/** All evidence of one cell, like or unlike anything. */
export function evidenceIn(index: EvidenceIndex, cell: number): Evidence[] {
  const nothing = new Float32Array(CELLS + LEVELS * BRANCHES)
  return index.near(nothing, [cell], Number.NEGATIVE_INFINITY, Number.MAX_SAFE_INTEGER).map(({ item }) => item)
}

export function someEvidence(changes: Partial<Omit<Evidence, 'cell' | 'family'>> = {}) {
  const outcome = anOutcome(changes)
  return { ...outcome, author: 'peer', expires: outcome.time + 168 * 3600, ...changes }
}

/** Every packet that may be sent, as the reader gives it back: at most 3 decimals, time on the hour. */
export const anyPacket: fc.Arbitrary<Packet> = fc
  .record(
    {
      space: hex(8),
      domain: fc.stringMatching(new RegExp(DOMAIN_PATTERN)),
      code: fc.stringMatching(new RegExp(CODE_PATTERN)),
      signal: thousandths(),
      confidence: thousandths(),
      model: fc.stringMatching(new RegExp(MODEL_PATTERN)),
      correction: fc.constantFrom(...correctionTypes),
      strategy: fc.stringMatching(new RegExp(STRATEGY_PATTERN)),
      observer: fc.constantFrom(...observers),
      intervention: fc.constantFrom(0 as const, 1 as const, 2 as const),
      answer: hex(16),
      revision: fc.nat(255),
      withdrawn: fc.boolean(),
      epsilon: fc.constantFrom(1 as const, 2 as const, 4 as const),
      hour: fc.nat(Math.floor(0xffffffff / 3600)),
      ttlHours: fc.integer({ min: 1, max: 720 }),
    },
    {
      requiredKeys: [
        'space',
        'domain',
        'code',
        'signal',
        'model',
        'observer',
        'intervention',
        'answer',
        'revision',
        'withdrawn',
        'hour',
        'ttlHours',
      ],
    },
  )
  .map(({ hour, ...packet }) => ({ ...packet, time: hour * 3600 }))

function hex(digits: number): fc.Arbitrary<string> {
  return fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`))
}

function thousandths(): fc.Arbitrary<number> {
  return fc.nat(1000).map(thousandth => thousandth / 1000)
}

/** The same key for the same number, on every machine. */
export async function keyOf(seed: number): Promise<Ed25519PrivateKey> {
  return generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed))
}

let shipped: Promise<Space> | undefined

/** The space of the built-in embedder. */
export function shippedSpace(): Promise<Space> {
  shipped ??= loadSpace(join(import.meta.dirname, '../../embeddings/spaces/sense-1'))
  return shipped
}

export async function temporaryFolder(): Promise<AsyncDisposable & { path(name: string): string }> {
  const folder = await mkdtemp(join(tmpdir(), 'qis-router-'))
  return {
    path: name => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Resolves as soon as `condition` holds; fails after a minute. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`waited a minute in vain until ${what}`)
    await nextTurn()
  }
}
