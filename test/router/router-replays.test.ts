import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createIntake } from '../../router/intake.ts'
import { routingKey } from '../../router/keyspace.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { sealPacket } from '../../router/packet.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import type { StoredPacket } from '../../router/store/store.ts'
import { FLIGHT, MODEL, type RouterNode, startNode, TRAIN } from '../support/router-node.ts'
import { aPacket, keyOf, NOW, shippedSpace, temporaryFolder, until } from '../support/router-support.ts'

const REPLAYS = 100_000
const HOUR = 3600

/** What a peer would say of TRAIN, and the key under which it would say it. */
async function packetFor(node: RouterNode) {
  const { id } = await shippedSpace()
  const { code } = await node.ask(TRAIN)
  const key = routingKey(id, 'general', Number.parseInt(code.slice(0, 2), 16))
  return { key, packet: aPacket({ space: id, code: code.slice(0, 4), model: MODEL, signal: 0 }) }
}

async function keptBy(node: RouterNode): Promise<number> {
  return (await Array.fromAsync(node.store.packets(0, 10))).length
}

describe(`a packet that is sent ${REPLAYS} times`, () => {
  it('has the influence of one, whatever is appended to its envelope', async () => {
    await using node = await startNode(createMemorySwarm())
    const { key, packet } = await packetFor(node)
    const bytes = await sealPacket(packet, await keyOf(9))
    const { receive } = node.handlers()
    assert.equal(await receive(key, bytes), 'accept')
    const told = await node.ask(TRAIN)
    assert.equal(told.packets, 1)

    for (let replay = 0; replay < REPLAYS; replay++) {
      assert.equal(await receive(key, bytes), 'ignore')
      // An unknown field: number 6 upwards, of each of two wire types, with another content each time.
      const field = Buffer.from([...(replay % 2 === 0 ? [0x30] : [0x3a, 4]), ...varint(replay)])
      assert.notEqual(await receive(key, Buffer.concat([bytes, field])), 'accept')
    }
    assert.deepEqual(await node.ask(TRAIN), told)
    assert.deepEqual([node.router.status().evidence, await keptBy(node)], [1, 1])
  })

  it('is still known when others have come since, and after a restart', async () => {
    await using folder = await temporaryFolder()
    const database = await openDatabase({ file: folder.path('qis.db'), schemas: [routerSchema] })
    await using _ = database
    const store = createSqliteStore(database)
    const kept: string[] = []
    let written = 0
    const components = {
      admits: () => true,
      store: { putPacket: (stored: StoredPacket) => store.putPacket(stored).finally(() => written++) },
      logger: { debug() {}, info() {}, warn() {} },
      observer: { packetReceived() {} },
      now: () => NOW,
      keep: ({ packet }: StoredPacket) => void kept.push(packet.answer),
      handed() {},
    }
    const key = routingKey('0123abcd', 'general', 0xa9)
    const answers = [1, 2, 3].map(count => count.toString(16).padStart(16, '0'))
    const privateKey = await keyOf(9)
    const packets = await Promise.all(answers.map(answer => sealPacket(aPacket({ answer }), privateKey)))
    const receive = createIntake(components, '0123abcd', { maxRecent: 2 })
    for (const bytes of packets) assert.equal(await receive(key, bytes), 'accept')
    assert.equal(written, 3)
    for (const bytes of packets.toReversed()) assert.equal(await receive(key, bytes), 'ignore')
    assert.equal(written, 4, 'the store is asked about the one that was forgotten, and about no other')
    const restarted = createIntake(components, '0123abcd')
    for (const bytes of packets) assert.equal(await restarted(key, bytes), 'ignore')
    assert.deepEqual(kept, answers)
  })
})

describe('what is changed or taken back', () => {
  it('is changed or gone at every receiver', async () => {
    const swarm = createMemorySwarm()
    await using author = await startNode(swarm)
    await using parts = new AsyncDisposableStack()
    const receivers: RouterNode[] = []
    for (let count = 0; count < 5; count++) receivers.push(parts.use(await startNode(swarm)))
    const told = () => Promise.all(receivers.map(receiver => receiver.ask(FLIGHT)))
    await told()
    const arrived = (count: number) =>
      until(() => receivers.every(({ accepted }) => accepted.length === count), `${count} packets arrived at all`)

    await author.learn(TRAIN, { requestId: 'x', signal: 1 })
    await arrived(1)
    assert.ok((await told()).every(({ adjustment, packets }) => adjustment > 0 && packets === 1))
    await author.learn(TRAIN, { requestId: 'x', signal: 0 })
    await arrived(2)
    assert.ok((await told()).every(({ adjustment, packets }) => adjustment < 0 && packets === 1))
    await author.router.withdraw('x')
    await arrived(3)
    assert.ok((await told()).every(({ adjustment, packets }) => adjustment === 0 && packets === 0))
    for (const receiver of receivers) {
      assert.equal(await keptBy(receiver), 1, 'only the withdrawal is kept')
      for (const { key, bytes } of receiver.accepted.slice(0, 2)) {
        assert.equal(await receiver.handlers().receive(key, bytes), 'ignore', 'what was taken back cannot return')
      }
    }
    assert.ok((await told()).every(({ packets }) => packets === 0))
  })
})

describe('a packet that expires', () => {
  it('has no influence a minute later, and is gone within the hour', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    await using node = await startNode(createMemorySwarm())
    const { key, packet } = await packetFor(node)
    await node.handlers().receive(key, await sealPacket(packet, await keyOf(9)))
    node.clock.now = NOW + 168 * HOUR - 1
    assert.equal((await node.ask(TRAIN)).packets, 1)
    assert.equal((await node.handlers().list(key, { offset: 0, limit: 10 })).length, 1)

    node.clock.now = NOW + 168 * HOUR
    assert.deepEqual(await node.handlers().list(key, { offset: 0, limit: 10 }), [], 'nobody else is given it')
    node.clock.now += 60
    const { packets, grade, adjustment } = await node.ask(TRAIN)
    assert.deepEqual([packets, grade, adjustment], [0, 'none', 0])

    t.mock.timers.tick(HOUR * 1000)
    await until(async () => (await keptBy(node)) === 0, 'it is deleted')
    assert.equal(node.router.status().evidence, 0)
  })
})

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >> 7)]
}
