/** Whom a node stays connected to since they are the nearest to it in the DHT, and for how long. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { stayNear } from '../../../router/network/nearest.ts'
import type { Node } from '../../../router/network/node.ts'
import { until } from '../../support/poll.ts'
import { meet, NEAR, tableOf } from './contacts.ts'
import { quiet, startBareNode } from './swarm.ts'

const PATIENCE = { deadlineMs: 30_000, everyMs: 50 }

const startNear = (maxConnections: number, briefMs?: number) =>
  startBareNode({}, node => {
    stayNear({ node, logger: quiet }, { maxConnections, ...(briefMs !== undefined && { briefMs }) })
  })

/** Those marked, in no order; not only every five seconds. */
async function nearOf(node: Node): Promise<string[]> {
  await tableOf(node).closestPeerTagger.updatePeerTags()
  return (await node.peerStore.all()).filter(({ tags }) => tags.has(NEAR)).map(({ id }) => id.toString())
}

/** That are in its table, the nearest first. */
function byDistance(node: Node): string[] {
  const { kb } = tableOf(node)
  const own = BigInt(`0x${Buffer.from(kb.localPeer.kadId).toString('hex')}`)
  return [...kb.toIterable()]
    .map(({ peerId, kadId }) => ({
      id: peerId.toString(),
      at: own ^ BigInt(`0x${Buffer.from(kadId).toString('hex')}`),
    }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ id }) => id)
}

suite('the nearest', () => {
  test('are a sixteenth of the places, and who lets the node go makes room for the next, for a while', async () => {
    await using node = await startNear(32, 3_000)
    await using _peers = await meet(node, 5)
    const [first = '', second = '', third = '', ...others] = byDistance(node)
    assert.equal(others.length, 2)
    const closest = node.getPeers().find(peer => peer.toString() === first)
    assert.ok(closest !== undefined)
    const near = async () => (await nearOf(node)).toSorted().join()
    const untilNear = (...expected: string[]) =>
      until('the next to be near', async () => (await near()) === expected.toSorted().join(), PATIENCE)
    // it was met some time ago
    await node.hangUp(closest)
    const connection = await node.dial(closest)
    await untilNear(first, second)
    await connection.close()
    await untilNear(second, third)
    await node.dial(closest)
    assert.equal(await near(), [second, third].toSorted().join())
    await untilNear(first, second)
  })

  test('that let the node go whenever it comes are not called again and again', async () => {
    await using node = await startNear(32)
    await using host = await startBareNode()
    const [address] = host.getMultiaddrs()
    assert.ok(address !== undefined)
    await node.dial(address)
    const isNear = async () => (await nearOf(node)).includes(host.peerId.toString())
    await until('it to be near', isNear, PATIENCE)
    const second = await node.dial(address, { force: true })
    await second.close()
    await setTimeout(500)
    assert.ok(await isNear(), 'one of two connections may go')
    let calls = 0
    host.addEventListener('connection:open', ({ detail: connection }) => {
      calls += 1
      void connection.close()
    })
    await Promise.all(host.getConnections().map(connection => connection.close()))
    await until('it not to be near', async () => !(await isNear()), PATIENCE)
    await setTimeout(2_000)
    assert.ok(calls <= 5, `${calls} calls`)
    assert.equal(node.getConnections().length, 0)
  })

  test('are those that are there, and what was forgotten of one that is not is not brought back', async () => {
    await using node = await startNear(16, 0)
    await using peers = await meet(node, 1)
    const [gone] = node.getPeers()
    assert.ok(gone !== undefined)
    assert.deepEqual(await nearOf(node), [gone.toString()])
    await peers.disposeAsync()
    await until('it to be gone', () => node.getPeers().length === 0, PATIENCE)
    await node.peerStore.delete(gone)
    assert.deepEqual(await nearOf(node), [])
    assert.ok(!(await node.peerStore.has(gone)))
    await using _other = await meet(node, 1)
    assert.deepEqual(await nearOf(node), node.getPeers().map(String))
    assert.equal(tableOf(node).size, 2)
  })
})
