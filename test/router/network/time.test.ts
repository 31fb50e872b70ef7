/** What a swarm does as time passes: it ages, loses sight of peers, heals, and comes back. Ages are shortened, not clocks. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { routingKey, toCid } from '../../../router/keyspace.ts'
import { createLibp2pNetwork } from '../../../router/network/libp2p.ts'
import { publishUntilHeard, recorder, retry, until, utf8 } from '../../contracts/network.ts'
import { until as eventually } from '../../support/poll.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { addressOf, createLibp2pSwarm, quiet, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const PATIENCE = { deadlineMs: 150_000, everyMs: 50 }

suite('an idle swarm', () => {
  test('still finds and fills a newcomer when what was announced has aged several times over', async () => {
    await using swarm = createLibp2pSwarm()
    const ages = { recordMs: 1_500, announceMs: 500 }
    const hub = await swarm.add(recorder(), ages)
    // a client of the DHT is in nobody's routing table: only its announcement leads to it
    const holder = await swarm.add(recorder(undefined, [utf8('held')]), { ...ages, dhtMode: 'client' })
    holder.join(key)
    await using visitor = await startBareNode()
    await visitor.dial(addressOf(hub))
    await retry(async () => {
      for await (const _provider of visitor.contentRouting.findProviders(toCid(key))) return 1
      return 0
    })
    const aged = performance.now() + 3 * ages.recordMs
    await eventually('time to pass', () => performance.now() > aged, PATIENCE)
    const newcomer = recorder()
    ;(await swarm.add(newcomer, ages)).join(key)
    await eventually('the newcomer to be filled', () => newcomer.texts(key).includes('held'), PATIENCE)
  })
})

suite('a peer that was away', () => {
  test('hears what was said meanwhile when it comes back', async () => {
    await using swarm = createLibp2pSwarm()
    const held = [utf8('before')]
    const hub = await swarm.add(recorder(undefined, held))
    hub.join(key)
    const privateKey = await generateKeyPair('Ed25519')
    const bootstrap = hub.status().addresses
    for (const news of ['before', 'meanwhile']) {
      const heard = recorder()
      await using network = createLibp2pNetwork({ privateKey, logger: quiet }, { bootstrap })
      await network.start(heard)
      network.join(key)
      await eventually(news, () => heard.texts(key).includes(news), PATIENCE)
      held.unshift(utf8('meanwhile'))
    }
  })

  test('a partition heals: both sides hear what the other said', async () => {
    await using swarm = createLibp2pSwarm()
    const heldHere: Buffer[] = []
    const heldThere: Buffer[] = []
    const [hearsHere, hearsThere] = [recorder(undefined, heldHere), recorder(undefined, heldThere)]
    const here = await swarm.add(hearsHere, { refillMs: 200 })
    const there = await swarm.add(hearsThere, { refillMs: 200 })
    for (const network of [here, there]) network.join(key)
    await publishUntilHeard(here, key, hearsThere)
    // each lets in nobody but itself: what is between them is gone
    await Promise.all([
      here.reconfigure({ members: [here.status().id] }),
      there.reconfigure({ members: [there.status().id], bootstrap: here.status().addresses }),
    ])
    await until(() => here.status().peers.length + there.status().peers.length === 0, 'they are apart')
    heldHere.push(utf8('said here'))
    heldThere.push(utf8('said there'))
    assert.equal(await here.publish(key, utf8('said here')), 0)
    assert.equal(await there.publish(key, utf8('said there')), 0)
    await Promise.all([here.reconfigure({}), there.reconfigure({ bootstrap: here.status().addresses })])
    await eventually('this side', () => hearsThere.texts(key).includes('said here'), PATIENCE)
    await eventually('the other side', () => hearsHere.texts(key).includes('said there'), PATIENCE)
    await publishUntilHeard(here, key, hearsThere)
  })
})

suite('the address book', () => {
  test('leads a node back to its swarm when its bootstrap peer is gone; without it, it stays alone', async () => {
    await using folder = await tempFolder()
    const addressBook = join(folder.path, 'peers.txt')
    await using swarm = createLibp2pSwarm()
    const hub = await swarm.add(recorder())
    const friend = await swarm.add(recorder())
    const bootstrap = hub.status().addresses
    friend.join(key)
    {
      await using network = createLibp2pNetwork(
        { privateKey: await generateKeyPair('Ed25519'), logger: quiet },
        { bootstrap, addressBook },
      )
      await network.start(recorder())
      network.join(key)
      await until(() => network.status().peers.includes(friend.status().id), 'it has met another')
    }
    assert.ok((await readFile(addressBook, 'utf8')).includes(friend.status().id))
    await hub[Symbol.asyncDispose]()
    const back = await swarm.add(recorder(), { bootstrap, addressBook })
    const lost = await swarm.add(recorder(), { bootstrap })
    await eventually('its swarm', () => back.status().peers.includes(friend.status().id), PATIENCE)
    assert.deepEqual(lost.status().peers, [])
  })

  test('that is rubbish is passed over', async () => {
    await using folder = await tempFolder()
    const addressBook = join(folder.path, 'peers.txt')
    await using swarm = createLibp2pSwarm()
    await writeFile(addressBook, 'not an address\n/ip4/127.0.0.1/tcp/1\n\u0000')
    const network = await swarm.add(recorder(), { addressBook })
    assert.deepEqual(network.status().peers, [])
  })
})
