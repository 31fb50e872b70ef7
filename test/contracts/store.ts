/** What every store must do. An implementation is tested by calling `testStore`. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'
import type { Outcome } from '../../router/outcome.ts'
import { type Packet, sealPacket } from '../../router/packet.ts'
import type { OutboxEntry, Store, StoredPacket } from '../../router/store/store.ts'
import { anOutcome, anyPacket, aPacket, keyOf, NOW } from '../support/router-support.ts'

const KEY = routingKey('0123abcd', 'general', 0xa9)
const OTHER_KEY = routingKey('0123abcd', 'general', 0xb0)
const EXPIRES = NOW + 168 * 3600
const ALL = { offset: 0, limit: 1_000 }

export interface StoreUnderTest extends AsyncDisposable {
  store: Store
}

export function testStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a store of outcomes`, () => {
    it('gives back what it was given, and nothing for what it was not', async () => {
      await using under = await create()
      const plain = anOutcome()
      const full = anOutcome({
        answer: 'ffffffffffffffff',
        signal: 0.1,
        confidence: 0.3,
        correction: 'safety',
        strategy: 'cot',
        intervention: 1,
        revision: 7,
        withdrawn: true,
      })
      for (const outcome of [plain, full]) await under.store.putOutcome(outcome, EXPIRES)
      assert.deepEqual(await under.store.outcome(plain.answer), plain)
      assert.deepEqual(await under.store.outcome(full.answer), full)
      assert.equal(await under.store.outcome('0000000000000000'), undefined)
    })

    it('holds one for each answer, the last that was put', async () => {
      await using under = await create()
      await under.store.putOutcome(anOutcome({ signal: 1 }), EXPIRES)
      await under.store.putOutcome(anOutcome({ signal: 0, revision: 1 }), EXPIRES)
      assert.equal((await under.store.outcome(anOutcome().answer))?.signal, 0)
      assert.equal((await under.store.outcomes(NOW, 10)).length, 1)
    })

    it('lists the last that came and live, in the order they came, in pages or not', async () => {
      await using under = await create()
      const named = (answer: string, time: number): Outcome => anOutcome({ answer: answer.repeat(16), time })
      await under.store.putOutcome(named('2', NOW + 20), EXPIRES)
      await under.store.putOutcome(named('1', NOW + 10), EXPIRES)
      await under.store.putOutcome(named('3', NOW + 30), EXPIRES)
      await under.store.putOutcome(named('4', NOW + 40), NOW + 50)
      const list = async (now: number, limit: number) =>
        (await under.store.outcomes(now, limit)).map(outcome => outcome.answer[0]).join('')
      assert.equal(await list(NOW, 10), '1234')
      assert.equal(await list(NOW, 2), '34')
      assert.equal(await list(NOW + 50, 10), '123', 'at its expiry it lives no more')
    })
  })

  describe(`${name} as a store of packets`, () => {
    it('gives back any packet, byte for byte', async () => {
      await using under = await create()
      const samples = fc
        .sample(anyPacket, 30)
        .map((packet, index) => ({ ...packet, answer: hex16(index), ttlHours: 720 }))
      const stored = await Promise.all(samples.map(packet => sealed(packet)))
      for (const one of stored) assert.ok(await under.store.putPacket(one))
      const found = await Array.fromAsync(under.store.packets(0, 100))
      assert.deepEqual(
        new Map(found.map(one => [one.packet.answer, plain(one)])),
        new Map(stored.map(one => [one.packet.answer, plain(one)])),
      )
    })

    it('keeps the latest revision for each author and answer, and says what it did not need', async () => {
      await using under = await create()
      const put = async (packet: Partial<Packet>, seed = 1) =>
        under.store.putPacket(await sealed(aPacket(packet), seed))
      assert.equal(await put({ revision: 1 }), true)
      assert.equal(await put({ revision: 1 }), false, 'a copy')
      assert.equal(await put({ revision: 1, signal: 0 }), false, 'the same revision')
      assert.equal(await put({ revision: 0 }), false, 'an older one')
      assert.equal(await put({ revision: 0 }, 2), true, 'by somebody else')
      assert.equal(await put({ revision: 2, withdrawn: true }), true)
      assert.equal(await put({ revision: 1 }), false, 'what was withdrawn')
      const found = (await Array.fromAsync(under.store.packets(NOW, 10))).map(({ packet }) => [
        packet.revision,
        packet.withdrawn,
      ])
      assert.deepEqual(new Set(found.map(String)), new Set(['0,false', '2,true']))
    })

    it('forgets the authors it is told to, and keeps the others', async () => {
      await using under = await create()
      const kept = await sealed(aPacket({ answer: hex16(1) }), 1)
      const others = await Promise.all([2, 3].map(answer => sealed(aPacket({ answer: hex16(answer) }), 2)))
      for (const one of [kept, ...others]) await under.store.putPacket(one)
      assert.deepEqual(await under.store.forgetAuthors(author => author === kept.author), [others[0]?.author])
      assert.deepEqual(await under.store.packetBytes(kept.key, NOW, { offset: 0, limit: 10 }), [kept.bytes])
      assert.deepEqual(await under.store.forgetAuthors(author => author === kept.author), [])
    })

    it('lists bytes by key, the newest first, page by page, while they live', async () => {
      await using under = await create()
      const times = [3, 1, 5, 2, 4].map(hours => NOW + hours * 3600)
      const stored = await Promise.all(times.map((time, index) => sealed(aPacket({ answer: hex16(index), time }))))
      for (const one of stored) await under.store.putPacket(one)
      await under.store.putPacket(await sealed(aPacket({ answer: hex16(99) }), 1, OTHER_KEY))
      const newest = stored.toSorted((a, b) => b.packet.time - a.packet.time).map(({ bytes }) => hex(bytes))
      const list = async (now: number, offset: number, limit: number) =>
        (await under.store.packetBytes(KEY, now, { offset, limit })).map(hex)
      assert.deepEqual(await list(NOW, 0, 10), newest)
      assert.deepEqual(await list(NOW, 2, 2), newest.slice(2, 4))
      assert.deepEqual(await list(NOW, 5, 2), [])
      assert.deepEqual(await list(EXPIRES + 2 * 3600, 0, 10), newest.slice(0, 3))
      assert.equal((await under.store.packetBytes(OTHER_KEY, NOW, ALL)).length, 1)
    })

    it('lists the last that came and live, in the order they came, in pages or not', async () => {
      await using under = await create()
      for (const [index, hours] of [2, 1, 3].entries()) {
        const packet = aPacket({ answer: hex16(index), time: NOW + hours * 3600 })
        await under.store.putPacket(await sealed(packet))
      }
      const list = async (now: number, limit: number) =>
        (await Array.fromAsync(under.store.packets(now, limit)))
          .map(({ packet }) => (packet.time - NOW) / 3600)
          .join('')
      assert.equal(await list(NOW, 10), '213')
      assert.equal(await list(NOW, 2), '13')
      assert.equal(await list(EXPIRES + 2 * 3600, 10), '3')
      const many = Array.from({ length: 2_500 }, (_, index) => aPacket({ answer: hex16(1_000 + index), time: NOW }))
      const [first] = await Promise.all(many.slice(0, 1).map(packet => sealed(packet)))
      assert.ok(first)
      // The same bytes under other names: what is tried here is the paging, not the packets.
      await Promise.all(many.map(packet => under.store.putPacket({ ...first, packet })))
      assert.equal((await Array.fromAsync(under.store.packets(NOW, 100_000))).length, 2_503)
      assert.equal((await Array.fromAsync(under.store.packets(NOW, 2_001))).length, 2_001)
    })
  })

  describe(`${name} as an outbox`, () => {
    it('gives what is due, oldest first, and not before', async () => {
      await using under = await create()
      for (const [answer, dueAt] of [
        ['b', NOW + 20],
        ['a', NOW + 10],
        ['c', NOW + 30],
      ] as const) {
        await put(under.store, { answer: answer.repeat(16) }, dueAt)
      }
      const due = async (now: number, limit = 10) =>
        (await under.store.due(now, limit)).map(({ packet }) => packet.answer[0]).join('')
      assert.equal(await due(NOW + 9), '')
      assert.equal(await due(NOW + 10), 'a')
      assert.equal(await due(NOW + 99), 'abc')
      assert.equal(await due(NOW + 99, 2), 'ab')
    })

    it('gives an entry back whole', async () => {
      await using under = await create()
      const packet = aPacket({ confidence: 0.35, correction: 'format', strategy: 'cot', intervention: 1, epsilon: 2 })
      const entry: OutboxEntry = { key: OTHER_KEY, packet, requestId: 'qis-1', dueAt: NOW }
      await under.store.putOutcome(anOutcome(), EXPIRES, entry)
      assert.deepEqual(await under.store.due(NOW, 1), [entry])
    })

    it('tells what waits about an answer, due or not', async () => {
      await using under = await create()
      await put(under.store, { signal: 0.5 }, NOW + 5)
      const [due] = await under.store.due(NOW + 5, 1)
      assert.equal(due?.packet.signal, 0.5)
      assert.deepEqual(await under.store.waiting(aPacket().answer), due)
      assert.equal(await under.store.waiting('0000000000000000'), undefined)
    })

    it('lets a change of mind take the place of what has not left, or take it out', async () => {
      await using under = await create()
      await put(under.store, { revision: 0 })
      await put(under.store, { revision: 1, signal: 0 }, NOW + 5)
      assert.deepEqual(await under.store.due(NOW, 10), [])
      assert.deepEqual(
        (await under.store.due(NOW + 5, 10)).map(({ packet }) => packet.revision),
        [1],
      )
      await under.store.putOutcome(anOutcome({ revision: 2, withdrawn: true }), EXPIRES)
      assert.deepEqual(await under.store.due(NOW + 99, 10), [])
      await put(under.store, {})
      await under.store.cancelDeparture(aPacket().answer)
      assert.deepEqual(await under.store.due(NOW + 99, 10), [])
    })

    it('knows what has left, and keeps it for peers that ask', async () => {
      await using under = await create()
      const stored = await sealed(aPacket())
      await put(under.store, {})
      assert.deepEqual(await under.store.departures(stored.packet.answer), [])
      await under.store.departed(stored, NOW, 'qis-1')
      assert.deepEqual(await under.store.departures(stored.packet.answer), [stored.packet])
      assert.deepEqual((await under.store.packetBytes(KEY, NOW, ALL)).map(hex), [hex(stored.bytes)])
    })

    it('keeps what nobody took, for later', async () => {
      await using under = await create()
      const stored = await sealed(aPacket())
      await put(under.store, {})
      await under.store.departed(stored, NOW, 'qis-1')
      assert.equal((await under.store.due(NOW, 10)).length, 1, 'still there, should the process die now')
      await under.store.delivered(stored.packet, 0, NOW + 30)
      assert.deepEqual(await under.store.due(NOW + 29, 10), [])
      assert.equal((await under.store.due(NOW + 30, 10)).length, 1)
      await under.store.delivered(stored.packet, 2, NOW + 60)
      assert.deepEqual(await under.store.due(NOW + 99, 10), [])
    })

    it('does not lose a change of mind to the delivery of what was said before', async () => {
      await using under = await create()
      const before = await sealed(aPacket({ revision: 0 }))
      await put(under.store, { revision: 0 })
      await under.store.departed(before, NOW, 'qis-1')
      await put(under.store, { revision: 1 })
      for (const recipients of [0, 3]) {
        await under.store.delivered(before.packet, recipients, NOW + 30)
        assert.deepEqual(
          (await under.store.due(NOW, 10)).map(({ packet }) => packet.revision),
          [1],
        )
      }
    })
  })

  describe(`${name} as a ledger`, () => {
    it('shows what left, newest first, once, with all that took it', async () => {
      await using under = await create()
      const first = await sealed(aPacket({ answer: hex16(1) }))
      const second = await sealed(aPacket({ answer: hex16(2) }), 1, OTHER_KEY)
      await under.store.departed(first, NOW, 'qis-1')
      await under.store.departed(second, NOW + 1, 'qis-1')
      await under.store.delivered(first.packet, 0, NOW)
      await under.store.departed(first, NOW + 30, 'qis-1')
      await under.store.delivered(first.packet, 2, NOW)
      await under.store.delivered(first.packet, 1, NOW)
      const shown = (await under.store.ledger(ALL)).map(({ hash: _, ...line }) => ({ ...line, bytes: hex(line.bytes) }))
      const same = { revision: 0, requestId: 'qis-1' }
      assert.deepEqual(shown, [
        { ...same, seq: 2, answer: hex16(2), key: OTHER_KEY, bytes: hex(second.bytes), leftAt: NOW + 1, recipients: 0 },
        { ...same, seq: 1, answer: hex16(1), key: KEY, bytes: hex(first.bytes), leftAt: NOW, recipients: 3 },
      ])
      assert.deepEqual(
        (await under.store.ledger({ offset: 1, limit: 5 })).map(line => hex(line.bytes)),
        [hex(first.bytes)],
      )
    })

    it('tells when the last of a key left, so that they can be counted', async () => {
      await using under = await create()
      for (const count of [1, 2, 3]) {
        await under.store.departed(await sealed(aPacket({ answer: hex16(count) })), NOW + count, 'qis-1')
        await under.store.departed(await sealed(aPacket({ answer: hex16(9 + count) }), 1, OTHER_KEY), NOW + 9, 'qis-1')
      }
      const departedAt = (count: number, but = 99) => under.store.departedAt(KEY, hex16(but), count)
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map(count => departedAt(count))), [
        NOW + 3,
        NOW + 2,
        NOW + 1,
        undefined,
      ])
      assert.equal(await departedAt(2, 3), NOW + 1, 'but for those about one answer')
    })

    it('remembers what left about one answer, though nobody is handed it any more', async () => {
      await using under = await create()
      const [first, second] = await Promise.all([0, 1].map(revision => sealed(aPacket({ revision }))))
      assert.ok(first && second)
      await under.store.departed(second, NOW + 1, 'qis-1')
      await under.store.departed(first, NOW, 'qis-1')
      await under.store.departed(await sealed(aPacket({ answer: hex16(5) })), NOW, 'qis-1')
      await under.store.dropPacket(second)
      assert.deepEqual(await under.store.departures(aPacket().answer), [first.packet, second.packet])
      assert.equal((await under.store.packetBytes(KEY, NOW, ALL)).length, 1)
    })

    it('shows each revision', async () => {
      await using under = await create()
      for (const revision of [0, 1]) await under.store.departed(await sealed(aPacket({ revision })), NOW, 'qis-1')
      assert.equal((await under.store.ledger(ALL)).length, 2)
    })
  })

  describe(`${name} when swept`, () => {
    it('forgets what has expired, but never what has left', async () => {
      await using under = await create()
      const stored = await sealed(aPacket())
      await put(under.store, {})
      await under.store.departed(stored, NOW, 'qis-1')
      await under.store.sweep(EXPIRES - 1)
      assert.equal((await under.store.due(NOW, 10)).length, 1)
      assert.equal((await under.store.outcomes(0, 10)).length, 1)
      assert.equal((await Array.fromAsync(under.store.packets(0, 10))).length, 1)
      await under.store.sweep(EXPIRES)
      assert.deepEqual(await under.store.due(NOW, 10), [])
      assert.deepEqual(await under.store.outcomes(0, 10), [])
      assert.deepEqual(await Array.fromAsync(under.store.packets(0, 10)), [])
      assert.equal(await under.store.outcome(anOutcome().answer), undefined)
      assert.equal((await under.store.ledger(ALL)).length, 1)
    })
  })
}

/** An outcome and its way out. */
async function put(store: Store, changes: Partial<Outcome>, dueAt = NOW): Promise<void> {
  await store.putOutcome(anOutcome(changes), EXPIRES, { key: KEY, packet: aPacket(changes), requestId: 'qis-1', dueAt })
}

async function sealed(packet: Packet, seed = 1, key: RoutingKey = KEY): Promise<StoredPacket> {
  const privateKey = await keyOf(seed)
  const bytes = await sealPacket(packet, privateKey)
  return { key, author: privateKey.publicKey.toString(), packet, bytes }
}

/** Without the kind of array that holds the bytes. */
function plain({ bytes, ...rest }: StoredPacket) {
  return { ...rest, bytes: hex(bytes) }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, '0')
}
