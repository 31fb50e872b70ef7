import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { routingKey } from '../../router/keyspace.ts'
import { type ChainEnd, entryHash, type LedgerChain, type LedgerEntry, verifyLedger } from '../../router/ledger.ts'
import { sealPacket } from '../../router/packet.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema, type StoreLimits } from '../../router/store/sqlite.ts'
import { aPacket, keyOf, NOW } from '../support/router-support.ts'

const KEYS = [0xa9, 0xb0].map(cell => routingKey('0123abcd', 'general', cell))
const START: ChainEnd = { seq: 0, hash: new Uint8Array(32) }

/** A chain as a store writes it. */
function chained(count: number, anchor = START): { entries: LedgerEntry[]; chain: LedgerChain } {
  const entries: LedgerEntry[] = []
  let head = anchor
  for (let added = 0; added < count; added++) {
    const seq = head.seq + 1
    const plain = {
      seq,
      key: KEYS[seq % 2] ?? assert.fail(),
      answer: seq.toString(16).padStart(16, '0'),
      revision: seq % 3,
      requestId: `qis-${seq}`,
      bytes: Buffer.from(`packet ${seq}`),
      leftAt: NOW + seq,
    }
    const hash = entryHash(head.hash, plain)
    entries.push({ ...plain, recipients: seq, hash })
    head = { seq, hash }
  }
  return { entries, chain: { anchor, head } }
}

const faultOf = async (entries: readonly LedgerEntry[], chain: LedgerChain, noted?: ChainEnd) => {
  const { fault, at } = await verifyLedger(entries, chain, noted)
  return fault === undefined ? 'none' : `${fault} at ${at}`
}

describe('the chain of the ledger', () => {
  const { entries, chain } = chained(12)

  it('holds for what a store has written, and tells its end', async () => {
    assert.deepEqual(await verifyLedger(entries, chain), { ok: true, entries: 12, unchained: 0, head: chain.head })
    assert.equal(await faultOf([], { anchor: START, head: START }), 'none')
  })

  it('can be computed by another program', () => {
    const [first] = chained(1).entries
    assert.ok(first?.hash)
    // SHA-256 of "qis-ledger/1", 32 zeros, "1", the time, the key, … each after its length in four bytes.
    assert.equal(
      Buffer.from(first.hash).toString('hex'),
      'db39ffd5ba2c4c217e539ec514dcf0b53fb224738201c051f3c2e886c02bf9c6',
    )
  })

  const changes: { [K in keyof LedgerEntry]?: (entry: LedgerEntry) => LedgerEntry[K] } = {
    key: ({ key }) => (key === KEYS[0] ? KEYS[1] : KEYS[0]) ?? assert.fail(),
    answer: () => 'ffffffffffffffff',
    revision: ({ revision }) => revision + 1,
    requestId: () => 'qis-another',
    bytes: ({ bytes }) => Buffer.concat([bytes, Buffer.of(0)]),
    leftAt: ({ leftAt }) => leftAt - 1,
    hash: () => new Uint8Array(32).fill(1),
  }
  for (const [field, change] of Object.entries(changes)) {
    it(`breaks where ${field} was changed, at any entry`, async () => {
      for (const [at, entry] of entries.entries()) {
        const forged = entries.with(at, { ...entry, [field]: change(entry) })
        assert.equal(await faultOf(forged, chain), `changed at ${at + 1}`)
      }
    })
  }

  it('breaks where any entry is removed, the last and the first as well', async () => {
    for (const at of entries.keys()) {
      const expected = at === 11 ? 'end_missing at 12' : `missing at ${at + 1}`
      assert.equal(await faultOf(entries.toSpliced(at, 1), chain), expected)
    }
    assert.equal(await faultOf([], chain), 'end_missing at 1')
  })

  it('breaks where entries have changed places, renumbered or not', async () => {
    for (let at = 0; at + 1 < entries.length; at++) {
      const [a, b] = [entries[at], entries[at + 1]]
      assert.ok(a && b)
      assert.equal(await faultOf(entries.with(at, b).with(at + 1, a), chain), `missing at ${at + 1}`)
      const renumbered = entries.with(at, { ...b, seq: a.seq }).with(at + 1, { ...a, seq: b.seq })
      assert.equal(await faultOf(renumbered, chain), `changed at ${at + 1}`)
    }
  })

  it('breaks under any mixture of changes, removals, copies and exchanges', async () => {
    const step = fc.record({
      kind: fc.constantFrom('flip', 'remove', 'copy', 'swap'),
      at: fc.nat(11),
      to: fc.nat(11),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async steps => {
        let forged = [...entries]
        for (const { kind, at, to } of steps) {
          const entry = forged[at]
          const other = forged[to]
          if (!entry || !other) continue
          if (kind === 'flip') {
            const bytes = Uint8Array.from(entry.bytes)
            bytes[to % bytes.length] = (bytes[to % bytes.length] ?? 0) ^ (1 << (at % 8))
            forged = forged.with(at, { ...entry, bytes })
          } else if (kind === 'remove') forged = forged.toSpliced(at, 1)
          else if (kind === 'copy') forged = forged.toSpliced(at, 0, other)
          else forged = forged.with(at, other).with(to, entry)
        }
        const same =
          forged.length === entries.length &&
          forged.every(
            (entry, at) => entry.seq === at + 1 && Buffer.compare(entry.bytes, entries[at]?.bytes ?? Buffer.of()) === 0,
          )
        assert.equal((await verifyLedger(forged, chain)).ok, same)
      }),
      { numRuns: 300 },
    )
  })

  it('cannot be rewritten as a whole under an end that was noted elsewhere', async () => {
    const noted = { seq: 5, hash: entries[4]?.hash ?? assert.fail() }
    const rewritten = chained(12, { seq: 0, hash: new Uint8Array(32).fill(9) })
    assert.equal(await faultOf(rewritten.entries, rewritten.chain), 'none', 'in itself it is sound')
    assert.equal(await faultOf(rewritten.entries, rewritten.chain, noted), 'not_as_noted at 5')
    assert.equal(await faultOf(entries, chain, noted), 'none')
    const shorter = chained(4)
    assert.equal(await faultOf(shorter.entries, shorter.chain, noted), 'end_missing at 5')
  })

  it('goes on from its anchor when the beginning was let go', async () => {
    const anchor = { seq: 4, hash: entries[3]?.hash ?? assert.fail() }
    const rest = { anchor, head: chain.head }
    assert.equal(await faultOf(entries.slice(4), rest), 'none')
    assert.equal(await faultOf(entries.slice(5), rest), 'missing at 5')
    assert.equal(await faultOf(entries.slice(4), rest, anchor), 'none')
    assert.equal(await faultOf(entries.slice(4), rest, { ...anchor, hash: START.hash }), 'not_as_noted at 4')
    assert.equal(await faultOf(entries.slice(4), rest, { ...anchor, seq: 3 }), 'noted_too_long_ago at 3')
  })

  it('may have grown while it was read', async () => {
    const more = chained(14)
    assert.equal(await faultOf(more.entries, { anchor: START, head: chain.head }), 'none')
  })
})

describe('the ledger in SQLite', () => {
  let bytes: Uint8Array
  before(async () => {
    bytes = await sealPacket(aPacket(), await keyOf(1))
  })

  async function ledger(limits: StoreLimits = {}) {
    const database = await openDatabase({ file: ':memory:', schemas: [routerSchema] })
    const store = createSqliteStore(database, limits)
    const leave = (count: number, leftAt = NOW + count) =>
      store.departed(
        {
          key: KEYS[0] ?? assert.fail(),
          author: 'a',
          packet: aPacket({ answer: `${count}`.padStart(16, '0') }),
          bytes,
        },
        leftAt,
        `qis-${count}`,
      )
    const verdict = async () => verifyLedger(store.wholeLedger(), await store.ledgerChain())
    return { database, store, leave, verdict, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
  }

  it('is a sound chain, also of entries that were written at once and that left again', async () => {
    await using under = await ledger()
    await Promise.all([1, 2, 3, 4, 5].map(count => under.leave(count)))
    await under.leave(3, NOW + 99)
    await under.leave(6)
    const { ok, entries, head } = await under.verdict()
    assert.deepEqual([ok, entries, head.seq], [true, 6, 6])
  })

  it('shows what somebody did to the file', async () => {
    for (const [sql, fault] of [
      ['UPDATE ledger SET left_at = left_at + 1 WHERE seq = 2', 'changed'],
      ["UPDATE ledger SET request_id = 'qis-7' WHERE seq = 2", 'changed'],
      ['DELETE FROM ledger WHERE seq = 2', 'missing'],
      ['DELETE FROM ledger WHERE seq = 4', 'end_missing'],
      ['DELETE FROM ledger', 'end_missing'],
      ['UPDATE ledger SET hash = NULL WHERE seq = 2', 'changed'],
    ] as const) {
      await using under = await ledger()
      for (const count of [1, 2, 3, 4]) await under.leave(count)
      await under.database.write([{ sql }])
      assert.equal((await under.verdict()).fault, fault, sql)
    }
  })

  it('stays sound when the oldest make room, and when they have been kept long enough', async () => {
    await using under = await ledger({ ledger: 3 })
    for (const count of [1, 2, 3, 4, 5]) await under.leave(count)
    assert.deepEqual([(await under.verdict()).ok, (await under.store.ledgerChain()).anchor.seq], [true, 2])
    await under.store.sweep(NOW + 4 + 400 * 24 * 3600)
    const kept = await Array.fromAsync(under.store.wholeLedger())
    assert.deepEqual(
      kept.map(({ seq }) => seq),
      [5],
    )
    assert.equal((await under.verdict()).ok, true)
    await under.store.sweep(NOW + 5 + 400 * 24 * 3600)
    await under.leave(6)
    const { ok, entries, head } = await under.verdict()
    assert.deepEqual([ok, entries, head.seq], [true, 1, 6])
  })

  it('lets nothing go that left later than it should have, however clocks jumped', async () => {
    await using under = await ledger()
    for (const [count, leftAt] of [
      [1, NOW],
      [2, NOW + 500],
      [3, NOW],
    ] as const) {
      await under.leave(count, leftAt)
    }
    await under.store.sweep(NOW + 400 * 24 * 3600)
    assert.deepEqual([(await under.verdict()).ok, (await under.verdict()).entries], [true, 2])
  })

  it('goes on after another has written to the same file', async () => {
    await using under = await ledger()
    await under.leave(1)
    const other = createSqliteStore(under.database)
    await other.departed(
      { key: KEYS[0] ?? assert.fail(), author: 'a', packet: aPacket({ answer: 'f'.repeat(16) }), bytes },
      NOW,
      '',
    )
    await assert.rejects(under.leave(2), { code: 'ERR_DATABASE_FAILED' })
    await under.leave(2)
    assert.deepEqual([(await under.verdict()).ok, (await under.verdict()).entries], [true, 3])
  })
})
