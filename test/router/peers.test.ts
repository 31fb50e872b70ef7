import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { profiles } from '../../router/disclosure.ts'
import { routingKey } from '../../router/keyspace.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { sealPacket } from '../../router/packet.ts'
import { createPeers } from '../../router/peers.ts'
import { MODEL, type RouterNode, startNode, TRAIN } from '../support/router-node.ts'
import { aPacket, keyOf, shippedSpace, until } from '../support/router-support.ts'

const PAGE = { offset: 0, limit: 100 }

/** Bytes of a stranger's packet about TRAIN, with their key. */
async function strangersPacket(node: RouterNode, seed: number, answer: string) {
  const { id } = await shippedSpace()
  const { code } = await node.ask(TRAIN)
  const packet = aPacket({ space: id, code: code.slice(0, 4), model: MODEL, signal: 0, answer })
  return {
    key: routingKey(id, 'general', Number.parseInt(code.slice(0, 2), 16)),
    bytes: await sealPacket(packet, await keyOf(seed)),
  }
}

describe('the peers of a router', () => {
  it('are those it is connected to, and those who signed what it holds, with what came of what they handed over', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm)
    await a.ask(TRAIN)
    await b.learn(TRAIN)
    await until(() => a.accepted.length === 1, 'the packet has come')
    const stranger = await strangersPacket(a, 9, '00000000000000aa')
    await a.handlers().receive(stranger.key, stranger.bytes, b.identity.id)
    await a.handlers().receive(stranger.key, stranger.bytes, b.identity.id)
    await a.handlers().receive(stranger.key, Buffer.alloc(9), b.identity.id)

    const { total, peers } = a.router.peers(PAGE)
    const [first, second] = peers
    assert.equal(total, 2)
    assert.equal(first?.id, b.identity.id)
    assert.deepEqual([first.handed.accepted, first.handed.refused.malformed], [2, 1])
    assert.ok((first.handed.refused.known ?? 0) >= 1, 'it came twice')
    assert.deepEqual([first.packets, first.standing, first.addresses.length], [1, 'unproven', 1])
    assert.equal(typeof first.since, 'number')
    assert.deepEqual(
      { ...second, id: '' },
      {
        id: '',
        addresses: [],
        handed: { accepted: 0, refused: {} },
        packets: 1,
        standing: 'unproven',
      },
    )
    assert.deepEqual(a.router.peers({ offset: 1, limit: 100 }).peers, [second])
    assert.deepEqual(a.router.peers({ offset: 0, limit: 1 }).peers, [first])
  })

  it('are remembered up to a bound, those who handed something over last', () => {
    const peers = createPeers(
      {
        network: { status: () => ({ connected: ['a', 'b', 'c'].map(id => ({ id, addresses: ['/x'], since: 1 })) }) },
        evidence: { authors: new Map(), foreign: () => ({ total: 0, items: [] }), standing: () => 'unproven' },
      },
      { maxRemembered: 2 },
    )
    for (const id of ['a', 'b', 'a', 'c']) peers.handed(id, 'accepted')
    const accepted = peers.list(PAGE).peers.map(({ id, handed }) => [id, handed.accepted])
    assert.deepEqual(accepted, [
      ['a', 2],
      ['b', 0],
      ['c', 1],
    ])
  })
})

describe('the packets a router holds', () => {
  it('are listed the last first, page by page, and by cell', async () => {
    await using node = await startNode(createMemorySwarm())
    for (const [seed, answer] of ['1', '2', '3'].entries()) {
      const { key, bytes } = await strangersPacket(node, seed + 1, answer.padStart(16, '0'))
      await node.handlers().receive(key, bytes)
    }
    await node.learn(TRAIN)
    const { total, packets } = node.router.packets(PAGE)
    assert.deepEqual([total, packets.map(({ answer }) => Number(answer))], [3, [3, 2, 1]])
    const [newest] = packets
    assert.ok(newest)
    assert.deepEqual([newest.model, newest.domain, newest.signal, newest.noisy], [MODEL, 'general', 0, false])
    assert.equal(newest.cell, newest.code.slice(0, 2))
    assert.equal(newest.expires, newest.time + 168 * 3600)
    assert.deepEqual(node.router.packets({ offset: 1, limit: 1 }).packets, packets.slice(1, 2))
    const cell = Number.parseInt(newest.cell, 16)
    assert.equal(node.router.packets({ ...PAGE, cell }).total, 3)
    assert.equal(node.router.packets({ ...PAGE, cell: (cell + 1) % 256 }).total, 0)
  })

  it('say what was sent where its author has put noise on it', async () => {
    const swarm = createMemorySwarm()
    await using a = await startNode(swarm)
    await using b = await startNode(swarm, { profile: { ...profiles.open, epsilon: 1 } })
    await a.ask(TRAIN)
    await b.learn(TRAIN)
    await until(() => a.accepted.length === 1, 'the packet has come')
    const [packet] = a.router.packets(PAGE).packets
    assert.equal(packet?.noisy, true)
    assert.ok(packet.signal === 0 || packet.signal === 1, String(packet.signal))
  })
})
