import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite, test } from 'node:test'
import { type RoutingKey, routingKey, toCid, toTopic } from '../../../router/keyspace.ts'
import { publishUntilHeard, recorder, retry, until, utf8 } from '../../contracts/network.ts'
import { freePort } from '../../support/ports.ts'
import { addressOf, createLibp2pSwarm, startBareNode } from './swarm.ts'

const key = routingKey('0123abcd', 'legal', 42)
const keys = (count: number): RoutingKey[] =>
  Array.from({ length: count }, (_, cell) => routingKey('0123abcd', 'legal', cell))

suite('finding each other', () => {
  test('two nodes that know only a third, which has not joined, meet through the DHT', async () => {
    await using swarm = createLibp2pSwarm()
    const [first, second] = [recorder(), recorder()]
    const hub = recorder()
    await swarm.add(hub)
    const one = await swarm.add(first)
    const other = await swarm.add(second)
    one.join(key)
    other.join(key)
    await publishUntilHeard(one, key, second)
    await publishUntilHeard(other, key, first)
    assert.ok(one.status().peers.includes(other.status().id))
    assert.deepEqual(hub.received, [])
  })

  test('a sender that has not joined finds the one who has by its announcement', async () => {
    await using swarm = createLibp2pSwarm()
    const joiner = recorder()
    await swarm.add(recorder())
    // a client of the DHT is in nobody's routing table: only the announcement leads to it
    const joining = await swarm.add(joiner, { dhtMode: 'client' })
    joining.join(key)
    const sender = await swarm.add(recorder())
    await publishUntilHeard(sender, key, joiner)
    assert.ok(sender.status().peers.includes(joining.status().id))
  })

  test('keys joined before the first peer is there are announced when it comes', async () => {
    await using swarm = createLibp2pSwarm()
    const early = await swarm.add(recorder())
    for (const joined of keys(30)) early.join(joined)
    await using late = await startBareNode()
    await late.dial(addressOf(early))
    for (const joined of keys(30)) {
      await retry(async () => {
        let found = 0
        for await (const provider of late.contentRouting.findProviders(toCid(joined))) {
          if (provider.id.toString() === early.status().id) found += 1
        }
        return found
      })
    }
  })

  test('a bootstrap peer may be named without its id, and may come up later', async () => {
    await using swarm = createLibp2pSwarm()
    const place = `/ip4/127.0.0.1/tcp/${await freePort()}`
    const waiting = await swarm.add(recorder(), { bootstrap: [place, place.replace('127.0.0.1', '127.0.0.2')] })
    const late = await swarm.add(recorder(), { listen: [place], bootstrap: [] })
    await until(() => waiting.status().peers.includes(late.status().id), 'the two connected')
  })

  test('a node that is a client of the DHT keeps no records for others', async () => {
    await using swarm = createLibp2pSwarm()
    const client = await swarm.add(recorder(), { dhtMode: 'client' })
    const server = await swarm.add(recorder(), { bootstrap: [] })
    await using visitor = await startBareNode()
    assert.ok(!(await protocolsOf(visitor, client)).some(protocol => protocol.includes('kad')))
    assert.ok((await protocolsOf(visitor, server)).includes('/qis/kad/1.0.0'))
  })

  test('only our own DHT is spoken, and the software is not advertised', async () => {
    await using swarm = createLibp2pSwarm()
    const network = await swarm.add(recorder())
    await using visitor = await startBareNode()
    const identified = Promise.withResolvers<string | undefined>()
    visitor.addEventListener('peer:identify', event => identified.resolve(event.detail.agentVersion))
    const protocols = await protocolsOf(visitor, network)
    assert.deepEqual(protocols.filter(protocol => protocol.includes('/kad/') || protocol.includes('/sync/')).sort(), [
      '/qis/kad/1.0.0',
      '/qis/sync/1.0.0',
    ])
    assert.equal(await identified.promise, 'qis/1')
  })

  test('the announced address replaces the one listened on', async () => {
    await using swarm = createLibp2pSwarm()
    const network = await swarm.add(recorder(), { announce: ['/ip4/127.0.0.1/tcp/4321'] })
    assert.deepEqual(network.status().addresses, [`/ip4/127.0.0.1/tcp/4321/p2p/${network.status().id}`])
  })
})

async function protocolsOf(
  visitor: Awaited<ReturnType<typeof startBareNode>>,
  network: Parameters<typeof addressOf>[0],
) {
  const { remotePeer } = await visitor.dial(addressOf(network))
  let protocols: string[] = []
  await retry(async () => {
    protocols = (await visitor.peerStore.get(remotePeer)).protocols
    return protocols.includes('/qis/sync/1.0.0') ? 1 : 0
  })
  return protocols
}

suite('starting and stopping', () => {
  test('a port that is taken is a clear error', async () => {
    await using swarm = createLibp2pSwarm()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    try {
      const address = taken.address()
      assert.ok(address !== null && typeof address === 'object')
      const listen = [`/ip4/127.0.0.1/tcp/${address.port}`]
      await assert.rejects(swarm.add(recorder(), { listen }), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_NETWORK_START')
        assert.match(error.message, new RegExp(`tcp/${address.port}`))
        assert.match(error.message, /EADDRINUSE/)
        assert.ok(error.cause instanceof Error)
        return true
      })
    } finally {
      taken.close()
    }
  })

  test('an address that is none is a clear error', async () => {
    await using swarm = createLibp2pSwarm()
    for (const options of [{ listen: ['nonsense'] }, { bootstrap: ['/ip4/300.0.0.1/tcp/1'] }]) {
      await assert.rejects(swarm.add(recorder(), options), { code: 'ERR_NETWORK_START' })
    }
  })

  test('the process ends by itself once the network has stopped', async () => {
    const script = `
      import { generateKeyPair } from '@libp2p/crypto/keys'
      import { createLibp2pNetwork } from './router/network/libp2p.ts'
      import { routingKey } from './router/keyspace.ts'
      const quiet = { debug() {}, info() {}, warn() {} }
      const create = async bootstrap =>
        createLibp2pNetwork({ privateKey: await generateKeyPair('Ed25519'), logger: quiet }, { bootstrap })
      const handlers = { receive: async () => 'accept', list: async () => [] }
      const hub = await create([])
      await hub.start(handlers)
      const leaf = await create(hub.status().addresses)
      await leaf.start(handlers)
      const key = routingKey('0123abcd', 'legal', 1)
      hub.join(key)
      leaf.join(key)
      while ((await leaf.publish(key, Buffer.from('hello'))) === 0) await new Promise(setImmediate)
      await leaf[Symbol.asyncDispose]()
      await hub[Symbol.asyncDispose]()
      console.log('stopped')`
    const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      cwd: new URL('../../..', import.meta.url),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000)
    let output = ''
    child.stdout.on('data', chunk => {
      output += chunk
    })
    child.stderr.on('data', chunk => {
      output += chunk
    })
    const [code] = await once(child, 'close')
    clearTimeout(deadline)
    assert.equal(output, 'stopped\n')
    assert.equal(code, 0)
  })
})

suite('peers that fail or misbehave', () => {
  test('peers that vanish delay nobody', async () => {
    await using swarm = createLibp2pSwarm()
    const survivor = recorder()
    const sender = await swarm.add(recorder())
    const vanishing = [await swarm.add(recorder()), await swarm.add(recorder())]
    const staying = await swarm.add(survivor)
    for (const network of [...vanishing, staying]) network.join(key)
    await publishUntilHeard(sender, key, survivor)

    const leaving = vanishing.map(network => network[Symbol.asyncDispose]())
    const began = performance.now()
    await Promise.all([sender.publish(key, utf8('meanwhile')), sender.backfill(key), ...leaving])
    // a dial that nobody ended would take 5 s, a page of a backfill that nobody sends as long, all of it 30 s
    assert.ok(performance.now() - began < 15_000)
    await until(() => survivor.texts(key).includes('meanwhile'), 'the packet arrived all the same')
    await sender.publish(key, utf8('afterwards'))
    await until(() => survivor.texts(key).includes('afterwards'), 'so did the next')
  })

  /** What else might be waited for takes longer. */
  const IN_VAIN_MS = 10_000

  test('a publisher waits no longer than its deadline for peers that are gone', async () => {
    await using swarm = createLibp2pSwarm()
    const hub = await swarm.add(recorder())
    const gone = await swarm.add(recorder(), { stopDeadlineMs: 500 })
    gone.join(key)
    await using visitor = await startBareNode()
    await visitor.dial(addressOf(hub))
    await retry(async () => {
      for await (const _provider of visitor.contentRouting.findProviders(toCid(key))) return 1
      return 0
    })
    await gone[Symbol.asyncDispose]()
    const sender = await swarm.add(recorder(), {
      meetDeadlineMs: 300,
      queryDeadlineMs: 2 * IN_VAIN_MS,
      dialDeadlineMs: 2 * IN_VAIN_MS,
    })
    await until(() => sender.status().peers.length > 0, 'the sender connected')
    const began = performance.now()
    assert.equal(await sender.publish(key, utf8('too late')), 0)
    assert.ok(performance.now() - began < IN_VAIN_MS)
    await assert.rejects(sender.publish(key, utf8('never'), { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })

  test('gossip that is too long is never judged', async () => {
    await using swarm = createLibp2pSwarm()
    const victim = recorder()
    const network = await swarm.add(victim)
    network.join(key)
    await using rogue = await startBareNode()
    await rogue.dial(addressOf(network))
    const { pubsub } = rogue.services
    const send = async (topic: string, text: string) => (await pubsub.publish(topic, utf8(text))).recipients.length
    await retry(async () => send(toTopic(key), `hello ${performance.now()}`).catch(() => 0))
    await until(() => victim.received.length > 0, 'the rogue is heard')
    const before = victim.received.length
    await send(toTopic(key), 'x'.repeat(577))
    await send(toTopic(key), 'y'.repeat(576))
    await until(() => victim.received.length > before, 'the longest packet is heard')
    assert.deepEqual(
      victim.received.slice(before).map(packet => packet.text[0]),
      ['y'],
    )
  })

  test('a peer that floods is heard at a bounded rate', async () => {
    await using swarm = createLibp2pSwarm()
    const victim = recorder()
    const network = await swarm.add(victim, { packetsPerSecond: 2 })
    const flooder = await swarm.add(recorder())
    network.join(key)
    await publishUntilHeard(flooder, key, victim)
    const began = performance.now()
    for (let index = 0; index < 200; index += 1) await flooder.publish(key, utf8(`flood ${index}`))
    const control = await swarm.add(recorder())
    await publishUntilHeard(control, key, victim)
    const heard = victim.received.filter(packet => packet.text.startsWith('flood'))
    const due = 2 * ((performance.now() - began) / 1_000)
    assert.ok(heard.length >= 10 && heard.length < 40 + due, `${heard.length} of 200 were heard`)
  })

  test('no more peers connect than are allowed', async () => {
    await using swarm = createLibp2pSwarm()
    const network = await swarm.add(recorder(), { maxConnections: 2 })
    const visitors = await Promise.all([startBareNode(), startBareNode(), startBareNode(), startBareNode()])
    try {
      await Promise.allSettled(visitors.map(visitor => visitor.dial(addressOf(network))))
      const left = () => visitors.filter(visitor => visitor.getConnections().length > 0)
      await until(
        () => left().length === 2 && network.status().peers.length === 2,
        'two are left, seen from both sides',
      )
      assert.deepEqual(
        left()
          .map(visitor => visitor.peerId.toString())
          .toSorted(),
        network.status().peers.toSorted(),
      )
    } finally {
      await Promise.all(visitors.map(visitor => visitor.stop()))
    }
  })
})

suite('catching up', () => {
  test('what an older node holds arrives at the next tending, even when nothing announces it', async () => {
    await using swarm = createLibp2pSwarm()
    const held: Buffer[] = []
    const older = await swarm.add(recorder(undefined, held))
    const reader = recorder()
    const newer = await swarm.add(reader, { tendMs: 50, refillMs: 50 })
    older.join(key)
    newer.join(key)
    await publishUntilHeard(older, key, reader)
    held.push(utf8('missed'))
    await until(() => reader.texts(key).includes('missed'), 'the packet arrived')
  })

  test('a backfill takes no more than its cap from a peer', async () => {
    await using swarm = createLibp2pSwarm()
    const held = Array.from({ length: 300 }, (_, index) => utf8(`held ${index}`))
    ;(await swarm.add(recorder(undefined, held))).join(key)
    const network = await swarm.add(recorder(), { backfillPackets: 100, pageSize: 30 })
    await until(() => network.status().peers.length > 0, 'connected')
    let count = 0
    // one that was broken off on a busy machine brought less
    await retry(async () => {
      count = await network.backfill(key)
      return count < 100 ? 0 : 1
    })
    assert.equal(count, 100)
  })
})

suite('the audit', () => {
  test('it sees a word that was published, on the way out and on the way in', async () => {
    const traffic = { out: '', in: '' }
    const capture = (side: 'out' | 'in') => (direction: 'in' | 'out', bytes: Uint8Array) => {
      if (direction === side) traffic[side] += Buffer.from(bytes).toString('latin1')
    }
    await using swarm = createLibp2pSwarm()
    const joiner = recorder(undefined, [utf8('held-by-the-joiner')])
    const sender = await swarm.add(recorder(), { capture: capture('out') })
    const network = await swarm.add(joiner, { capture: capture('in') })
    network.join(key)
    await retry(() => sender.publish(key, utf8('planted-word')))
    await until(() => joiner.texts(key).includes('planted-word'), 'the packet arrived')
    for (const side of ['out', 'in'] as const) {
      assert.ok(traffic[side].includes('planted-word'), side)
      assert.ok(traffic[side].includes('/qis/kad/1.0.0'), 'the DHT and identify are seen as well')
      assert.ok(!traffic[side].includes('never-sent'))
    }
    await retry(() => sender.backfill(key))
    assert.ok(!traffic.out.includes('held-by-the-joiner'), 'what only came in did not go out')
  })
})
