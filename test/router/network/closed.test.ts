import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { routingKey } from '../../../router/keyspace.ts'
import type { NetworkEvent } from '../../../router/network/events.ts'
import { startRelay } from '../../../router/network/relay.ts'
import { createSwarmKey } from '../../../router/swarm.ts'
import { publishUntilHeard, recorder, retry, until, utf8 } from '../../contracts/network.ts'
import { addressOf, createLibp2pSwarm, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)

suite('a swarm closed by a key', () => {
  test('lets in who has it, and nobody else', async () => {
    await using swarm = createLibp2pSwarm()
    const swarmKey = createSwarmKey()
    const [first, second] = [recorder(), recorder()]
    const one = await swarm.add(first, { swarmKey })
    const other = await swarm.add(second, { swarmKey })
    const wrong = await swarm.add(recorder(), { swarmKey: createSwarmKey() })
    const none = await swarm.add(recorder())
    for (const network of [one, other, wrong, none]) network.join(key)
    await publishUntilHeard(one, key, second)
    await publishUntilHeard(other, key, first)
    for (const stranger of [wrong, none]) {
      assert.deepEqual(stranger.status().peers, [])
      assert.equal(await stranger.publish(key, utf8('let me in')), 0)
    }
    await using visitor = await startBareNode()
    await assert.rejects(visitor.dial(addressOf(one), { signal: AbortSignal.timeout(2_000) }))
    assert.deepEqual(new Set(one.status().peers), new Set([other.status().id]))
  })

  test('counts callers with another key or none by their reason, and cuts them at their first word', async () => {
    await using swarm = createLibp2pSwarm()
    const swarmKey = createSwarmKey()
    const events: NetworkEvent[] = []
    const heard = recorder()
    const site = await swarm.add(heard, {
      swarmKey,
      // no deadline that would end them is near
      dialDeadlineMs: 60_000,
      observer: { networkEvent: event => events.push(event) },
    })
    for (const [at, key] of [{ swarmKey: createSwarmKey() }, {}].entries()) {
      await using stranger = await startBareNode({ ...key, dialDeadlineMs: 60_000 })
      await assert.rejects(stranger.dial(addressOf(site)))
      await until(() => events.length === at + 1, 'it is counted')
    }
    assert.deepEqual(events, ['handshake_key', 'handshake_key'])
    await using _ = await startBareNode({ swarmKey }).then(async friend => {
      await friend.dial(addressOf(site))
      return friend
    })
    assert.equal(events.length, 2, 'who has the key is none of them')
  })

  test('is told of one who greets in small pieces, too', async () => {
    await using swarm = createLibp2pSwarm()
    const events: NetworkEvent[] = []
    const site = await swarm.add(recorder(), {
      swarmKey: createSwarmKey(),
      dialDeadlineMs: 60_000,
      observer: { networkEvent: event => events.push(event) },
    })
    const [, host = '', port] = /ip4\/([^/]+)\/tcp\/(\d+)/.exec(String(addressOf(site))) ?? []
    const stranger = connect({ host, port: Number(port), noDelay: true })
    // it is cut in the middle of what it says, or after it
    stranger.on('error', () => {})
    try {
      for (const letter of '\u0013/multistream/1.0.0\n') {
        stranger.write(letter)
        await wait(5)
      }
      await until(() => events.length > 0, 'it is counted')
    } finally {
      stranger.destroy()
    }
    assert.deepEqual(events, ['handshake_key'])
  })

  test('makes the host of somebody who keeps knocking with another key wait', async () => {
    await using swarm = createLibp2pSwarm()
    const events: NetworkEvent[] = []
    const site = await swarm.add(recorder(), {
      swarmKey: createSwarmKey(),
      observer: { networkEvent: event => events.push(event) },
    })
    await using stranger = await startBareNode({ swarmKey: createSwarmKey() })
    for (let knock = 0; knock < 40 && !events.includes('connection_hasty'); knock += 1) {
      await assert.rejects(stranger.dial(addressOf(site)))
    }
    await until(() => events.includes('connection_hasty'), 'it has to wait')
    assert.ok(events.filter(event => event === 'handshake_key').length >= 10)
  })

  test('follows a change of the key while it runs: joined keys stay joined', async () => {
    await using swarm = createLibp2pSwarm()
    const [before, after] = [createSwarmKey(), createSwarmKey()]
    const heard = recorder()
    const hub = await swarm.add(recorder(), { swarmKey: after })
    const late = await swarm.add(heard, { swarmKey: before })
    late.join(key)
    assert.deepEqual(late.status().peers, [])
    const bootstrap = hub.status().addresses
    await late.reconfigure({ swarmKey: after, bootstrap })
    await publishUntilHeard(hub, key, heard)
    assert.equal(late.status().keys, 1)
  })

  test('a change that cannot be followed is an error, and the next one is followed', async () => {
    await using swarm = createLibp2pSwarm()
    const hub = await swarm.add(recorder())
    const network = await swarm.add(recorder())
    await assert.rejects(network.reconfigure({ bootstrap: ['nonsense'] }), { code: 'ERR_NETWORK_START' })
    await network.reconfigure({ bootstrap: hub.status().addresses })
    await until(() => network.status().peers.length > 0, 'it is back')
  })
})

suite('a swarm closed by its members', () => {
  test('lets go of who is a member no longer, at once, and takes in who is one', async () => {
    await using swarm = createLibp2pSwarm()
    const hub = await swarm.add(recorder())
    const { id } = hub.status()
    const [staying, leaving] = [await swarm.add(recorder()), await swarm.add(recorder())]
    const peers = () => hub.status().peers
    await until(() => peers().length === 2, 'both are connected')
    await hub.reconfigure({ members: [id, staying.status().id] })
    await until(() => !peers().includes(leaving.status().id), 'the one is let go')
    await using stranger = await startBareNode()
    await stranger.dial(addressOf(hub)).catch(() => {})
    await until(() => stranger.getConnections().length === 0, 'a stranger is turned away')
    assert.ok(peers().includes(staying.status().id))
    await hub.reconfigure({})
    await until(() => peers().includes(leaving.status().id), 'it is taken in again')
  })
})

suite('a relay', () => {
  test('joins two that cannot connect to each other, in a closed swarm too', async () => {
    for (const swarmKey of [undefined, createSwarmKey()]) {
      const closed = swarmKey === undefined ? {} : { swarmKey }
      await using relay = await startRelay(
        { privateKey: await generateKeyPair('Ed25519') },
        { listen: ['/ip4/127.0.0.1/tcp/0'], ...closed },
      )
      await using swarm = createLibp2pSwarm()
      const hidden = { listen: [], relays: relay.addresses, bootstrap: [], ...closed }
      const heard = recorder(undefined, [utf8('held behind a firewall')])
      const inside = await swarm.add(heard, hidden)
      inside.join(key)
      await until(() => inside.status().addresses.some(address => address.includes('/p2p-circuit')), 'it has a place')
      const reader = recorder()
      const outside = await swarm.add(reader, { ...hidden })
      outside.join(key)
      await until(() => reader.texts(key).includes('held behind a firewall'), 'it is filled through the relay')
      await publishUntilHeard(outside, key, heard)
      assert.ok(outside.status().peers.includes(inside.status().id))
      assert.ok(relay.status().places >= 1)
    }
  })

  test('keeps no place for a stranger', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    await using relay = await startRelay({ privateKey }, { listen: ['/ip4/127.0.0.1/tcp/0'], members: [] })
    await using swarm = createLibp2pSwarm()
    const stranger = await swarm.add(recorder(), { listen: [], relays: relay.addresses, bootstrap: [] })
    const began = performance.now()
    await retry(async () => (performance.now() - began > 1_000 ? 1 : 0))
    assert.deepEqual([stranger.status().addresses, relay.status()], [[], { peers: 0, places: 0 }])
  })
})
