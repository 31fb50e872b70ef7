import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  createSeedReader,
  decodeSeed,
  encodeSeed,
  MAX_SEED_BYTES,
  type SeedPacket,
  seedKey,
} from '../../router/seed-profile.ts'
import { NOW } from '../support/router-support.ts'

interface Golden {
  keys: { domain: string; qsh: string; key: string }[]
  packets: { name: string; packet: SeedPacket; key: string; text: string }[]
  refused: { why: string; text: string }[]
}
const golden = JSON.parse(readFileSync(new URL('../fixtures/packet-seed.json', import.meta.url), 'utf8')) as Golden

function aSeed(changes: Partial<SeedPacket> = {}): SeedPacket {
  return {
    d: 'general',
    qsh: 'a94a',
    os: 1,
    ci: 0.5,
    mv: 'llama-3.1-8b-instruct',
    ca: false,
    ct: null,
    ts: NOW,
    ttl: 168,
    ...changes,
  }
}

describe('the reference profile', () => {
  it('has the published key', () => {
    assert.equal(seedKey('clinical.oncology', 'a3f7c9d1b2e4'), '329c0d219c49eb6db6627c95f6bdeb59')
    for (const { domain, qsh, key } of golden.keys) {
      assert.equal(seedKey(domain, qsh), key)
      assert.equal(createHash('sha256').update(`${domain}:${qsh}`).digest('hex').slice(0, 32), key)
    }
  })

  for (const { name, packet, key, text } of golden.packets) {
    it(`writes the golden packet (${name}), and reads it again`, () => {
      const written = encodeSeed(packet)
      assert.deepEqual([written.key, Buffer.from(written.bytes).toString()], [key, text])
      const read = decodeSeed(written.bytes)
      assert.deepEqual(Buffer.from(encodeSeed(read).bytes).toString(), text)
      assert.equal(seedKey(read.d, read.qsh), key)
    })
  }

  for (const { why, text } of golden.refused) {
    it(`refuses ${why}`, () => {
      assert.throws(() => decodeSeed(Buffer.from(text)), { code: 'ERR_SEED_INVALID', fault: 'malformed' })
    })
  }

  it('reads what others write with spaces, and keys in their own order', () => {
    const packet = aSeed({ ca: true, ct: 'factual' })
    const spaced = JSON.stringify(Object.fromEntries(Object.entries(packet).toReversed()), undefined, 1)
    assert.deepEqual(decodeSeed(Buffer.from(spaced)), packet)
  })

  it('counts bytes, not characters: nothing it writes is larger than 512 bytes or cannot be read', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(text, text, text, (d, mv, ct) => {
        let written: ReturnType<typeof encodeSeed>
        try {
          written = encodeSeed(aSeed({ d: d.replaceAll(':', '.'), mv, ca: true, ct, qsh: 'f'.repeat(16) }))
        } catch (error) {
          // A grapheme too large for its room leaves nothing, and nothing is no name.
          assert.match(String(error), /packet\.(d|mv)|NFC/)
          return
        }
        assert.ok(written.bytes.length <= MAX_SEED_BYTES)
        const read = decodeSeed(written.bytes)
        assert.ok(Buffer.byteLength(read.d) <= 32 && Buffer.byteLength(read.mv) <= 24)
        assert.equal(seedKey(read.d, read.qsh), written.key, 'the key is that of what was sent')
      }),
    )
    assert.throws(() => decodeSeed(Buffer.alloc(513, ' ')), { fault: 'oversize' })
    assert.throws(() => decodeSeed(Buffer.from(JSON.stringify(aSeed({ d: 'é'.repeat(17) })))), { fault: 'malformed' })
  })

  it('has no two questions under one key', () => {
    assert.throws(() => seedKey('a:b', 'cd'), { code: 'ERR_SEED_INVALID' })
    assert.throws(() => encodeSeed(aSeed({ d: 'a:b' })), { fault: 'malformed' })
    assert.throws(() => decodeSeed(Buffer.from(JSON.stringify(aSeed({ d: 'a:b' })))), { fault: 'malformed' })
  })
})

describe('a reader of the reference profile', () => {
  const bytes = (changes: Partial<SeedPacket> = {}) => Buffer.from(JSON.stringify(aSeed(changes)))

  it('reads a packet once, however it is spelt', () => {
    const reader = createSeedReader({ now: () => NOW })
    reader.read(bytes())
    assert.throws(() => reader.read(bytes()), { fault: 'known' })
    assert.throws(() => reader.read(Buffer.from(` ${JSON.stringify(aSeed(), undefined, 2)}\n`)), { fault: 'known' })
    reader.read(bytes({ os: 0 }))
  })

  it('reads none that has expired or is yet to come', () => {
    let now = NOW
    const reader = createSeedReader({ now: () => now })
    assert.throws(() => reader.read(bytes({ ts: NOW + 7201 })), { fault: 'from_future' })
    reader.read(bytes({ ts: NOW + 7200 }))
    now = NOW + 168 * 3600 - 1
    reader.read(bytes())
    now += 1
    assert.throws(() => reader.read(bytes({ os: 0 })), { fault: 'expired' })
  })

  it('remembers a bounded number, and has room again when they expire', () => {
    let now = NOW
    const reader = createSeedReader({ now: () => now }, { maxKnown: 2 })
    reader.read(bytes({ os: 0 }))
    reader.read(bytes({ os: 0.5 }))
    assert.throws(() => reader.read(bytes()), { fault: 'known' })
    now += 168 * 3600
    reader.read(bytes({ ts: now }))
  })
})
