import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { routingKey } from '../../router/keyspace.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { type Packet, sealPacket } from '../../router/packet.ts'
import { MODEL, type RouterNode, startNode, TRAIN } from '../support/router-node.ts'
import { aPacket, keyOf, NOW, shippedSpace, temporaryFolder, until } from '../support/router-support.ts'

const ALL = { offset: 0, limit: 100 }

describe('a packet that arrives', () => {
  const HOUR = 3600
  const cases: Record<string, { changes?: Partial<Packet>; wreck?: (bytes: Buffer) => Buffer; expect: string }> = {
    'in order': { expect: 'accept accepted' },
    'from a slightly fast clock': { changes: { time: NOW + 2 * HOUR }, expect: 'accept accepted' },
    'from the future': { changes: { time: NOW + 3 * HOUR }, expect: 'ignore from_future' },
    'in its last hour': { changes: { time: NOW - 167 * HOUR }, expect: 'accept accepted' },
    'too late': { changes: { time: NOW - 168 * HOUR }, expect: 'ignore expired' },
    'from another space': { changes: { space: '00000000' }, expect: 'reject other_space' },
    'under the key of another cell': { changes: { code: 'ff' }, expect: 'reject wrong_key' },
    'under the key of another domain': { changes: { domain: 'legal' }, expect: 'reject wrong_key' },
    'under the key of its domain, which has more to it': {
      changes: { domain: 'general.x' },
      expect: 'accept accepted',
    },
    'too long': { wreck: bytes => Buffer.concat([bytes, Buffer.alloc(512)]), expect: 'reject oversize' },
    'as noise': { wreck: bytes => bytes.fill(7), expect: 'reject malformed' },
    'with an addition': {
      wreck: bytes => Buffer.concat([bytes, Buffer.from([0x30, 1])]),
      expect: 'reject not_canonical',
    },
    'with a forged signature': { wreck: bytes => bytes.fill(0, bytes.length - 8), expect: 'reject bad_signature' },
  }
  for (const [how, { changes = {}, wreck, expect }] of Object.entries(cases)) {
    it(`${how} is answered with ${expect}`, async () => {
      await using node = await startNode(createMemorySwarm())
      const { key, packet } = await packetFor(node)
      const sealed = Buffer.from(await sealPacket({ ...packet, ...changes }, await keyOf(9)))
      const bytes = wreck ? wreck(sealed) : sealed
      const verdict = await node.handlers().receive(key, bytes)
      assert.equal(`${verdict} ${node.received}`, expect)
      assert.equal((await Array.fromAsync(node.store.packets(0, 10))).length, verdict === 'accept' ? 1 : 0)
      assert.equal((await node.ask(TRAIN)).packets, verdict === 'accept' ? 1 : 0)
    })
  }

  it('from one who is no member is ignored, and one who is a member no longer is forgotten', async () => {
    const members = new Set<string>()
    await using node = await startNode(createMemorySwarm(), { admits: author => members.has(author) })
    const { key, packet } = await packetFor(node)
    const privateKey = await keyOf(9)
    const bytes = await sealPacket(packet, privateKey)
    assert.equal(await node.handlers().receive(key, bytes), 'ignore')
    members.add(privateKey.publicKey.toString())
    assert.equal(await node.handlers().receive(key, bytes), 'accept')
    assert.deepEqual(node.received, ['not_member', 'accepted'])
    await node.learn(TRAIN)
    assert.equal(node.router.status().evidence, 2)
    members.clear()
    await node.router.forgetStrangers()
    assert.equal(node.router.status().evidence, 1, 'its own is kept')
    assert.ok((await node.handlers().list(key, ALL)).every(held => !Buffer.from(held).equals(bytes)))
  })

  it('a second time is ignored', async () => {
    await using node = await startNode(createMemorySwarm())
    const { key, packet } = await packetFor(node)
    const bytes = await sealPacket(packet, await keyOf(9))
    assert.equal(await node.handlers().receive(key, bytes), 'accept')
    assert.equal(await node.handlers().receive(key, bytes), 'ignore')
    assert.deepEqual(node.received, ['accepted', 'known'])
    assert.equal(node.router.status().evidence, 1)
  })

  it('when the store cannot keep it is ignored, and its sender not blamed', async () => {
    await using folder = await temporaryFolder()
    const file = folder.path('qis.db')
    await using node = await startNode(createMemorySwarm(), { file })
    const { key, packet } = await packetFor(node)
    const bytes = await sealPacket(packet, await keyOf(9))
    const other = new DatabaseSync(file)
    other.exec('BEGIN EXCLUSIVE')
    assert.equal(await node.handlers().receive(key, bytes), 'ignore')
    assert.deepEqual(node.received, ['store_failed'])
    assert.equal(node.router.status().evidence, 0)
    other.exec('ROLLBACK')
    other.close()
    assert.equal(await node.handlers().receive(key, bytes), 'accept', 'it may come again')
  })

  it('from itself counts once, as its own, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const options = { file: folder.path('qis.db'), identityFile: folder.path('identity.key') }
    {
      await using node = await startNode(createMemorySwarm(), options)
      await node.learn(TRAIN)
      await until(async () => (await node.router.ledger(ALL)).length === 1, 'it has left')
      const [own] = await Array.fromAsync(node.store.packets(0, 1))
      assert.ok(own)
      assert.equal(await node.handlers().receive(own.key, own.bytes), 'ignore')
      assert.deepEqual([(await node.ask(TRAIN)).packets, node.router.status().evidence], [0, 1])
    }
    await using again = await startNode(createMemorySwarm(), options)
    assert.deepEqual([(await again.ask(TRAIN)).packets, again.router.status().evidence], [0, 1])
  })

  it('is remembered after a restart', async () => {
    await using folder = await temporaryFolder()
    const options = { file: folder.path('qis.db'), identityFile: folder.path('identity.key') }
    const told = await (async () => {
      await using node = await startNode(createMemorySwarm(), options)
      const { key, packet } = await packetFor(node)
      await node.handlers().receive(key, await sealPacket(packet, await keyOf(9)))
      return node.ask(TRAIN)
    })()
    assert.equal(told.packets, 1)
    await using again = await startNode(createMemorySwarm(), options)
    assert.deepEqual(await again.ask(TRAIN), told)
  })
})

/** What a peer would say of TRAIN, and the key under which it would say it. */
async function packetFor(node: RouterNode) {
  const { id } = await shippedSpace()
  const { code } = await node.ask(TRAIN)
  const key = routingKey(id, 'general', Number.parseInt(code.slice(0, 2), 16))
  return { key, packet: aPacket({ space: id, code: code.slice(0, 4), model: MODEL, signal: 0 }) }
}
