import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { routingKey } from '../../../router/keyspace.ts'
import { createThreadedNetwork } from '../../../router/network/threaded.ts'
import { publishUntilHeard, recorder, until } from '../../contracts/network.ts'
import { addressOf, createLibp2pSwarm, quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)

test('a network in its own thread tells what it counts, logs and captures, and follows a change of the swarm', async () => {
  await using swarm = createLibp2pSwarm()
  const heard = recorder()
  const hub = await swarm.add(recorder())
  const events: string[] = []
  const captured = { in: 0, out: 0 }
  await using network = createThreadedNetwork(
    {
      privateKey: await generateKeyPair('Ed25519'),
      logger: quiet,
      observer: { networkEvent: event => events.push(event) },
    },
    {
      bootstrap: [addressOf(hub).toString()],
      capture: (direction, bytes) => {
        captured[direction] += bytes.length
      },
    },
  )
  await network.start(heard)
  network.join(key)
  await publishUntilHeard(hub, key, heard)
  assert.ok(captured.in > 0 && captured.out > 0)
  assert.equal(network.status().addresses.length, 1)
  await network.reconfigure({ members: [], bootstrap: [addressOf(hub).toString()] })
  await until(() => network.status().peers.length === 0, 'nobody is let in')
  await using stranger = await startBareNode()
  await stranger.dial(addressOf(network)).catch(() => {})
  await until(() => events.includes('connection_stranger'), 'who comes is counted')
  await assert.rejects(network.reconfigure({ bootstrap: ['nonsense'] }), { code: 'ERR_NETWORK_START' })
  await network.reconfigure({ bootstrap: [addressOf(hub).toString()] })
  await until(() => network.status().peers.includes(hub.status().id), 'it is back')
})

test('a network in its own thread that cannot listen says so, and can be started later', async () => {
  await using network = createThreadedNetwork(
    { privateKey: await generateKeyPair('Ed25519'), logger: quiet },
    { listen: ['nonsense'] },
  )
  await assert.rejects(network.start(recorder()), { code: 'ERR_NETWORK_START', message: /nonsense/ })
})
