import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { Key } from 'interface-datastore'
import { createBackground } from '../../../router/network/background.ts'
import { type Answering, createCalls } from '../../../router/network/calls.ts'
import { BoundedDatastore } from '../../../router/network/datastore.ts'
import { deadline, within } from '../../../router/network/deadline.ts'
import { createGate, TURNS } from '../../../router/network/gate.ts'
import { createRateLimit, type RateLimit } from '../../../router/network/rate-limit.ts'
import { modeFor } from '../../../router/network/reachability.ts'
import { createReputation } from '../../../router/network/reputation.ts'
import { until } from '../../contracts/network.ts'
import { quiet } from './swarm.ts'

function clock() {
  const time = { ms: 0, now: () => time.ms }
  return time
}

suite('reputation', () => {
  const options = { strikes: 3, forgiveMs: 1_000, shunMs: 10_000 }

  test('a peer is shunned at the last straw, and taken back in time', () => {
    const time = clock()
    const reputation = createReputation(time, options)
    assert.deepEqual([reputation.blame('a'), reputation.blame('a'), reputation.shunned('a')], [false, false, false])
    assert.equal(reputation.blame('a'), true)
    assert.ok(reputation.shunned('a'))
    assert.ok(!reputation.shunned('b'))
    time.ms = 10_000
    assert.ok(!reputation.shunned('a'))
  })

  test('strikes are forgiven', () => {
    const time = clock()
    const reputation = createReputation(time, options)
    for (let strike = 0; strike < 20; strike += 1) {
      assert.equal(reputation.blame('a'), false)
      time.ms += 1_000
    }
  })

  test('its memory is bounded, and the latest are kept', () => {
    const reputation = createReputation(clock(), { ...options, strikes: 2 })
    reputation.blame('first')
    for (let peer = 0; peer < 5_000; peer += 1) reputation.blame(`peer ${peer}`)
    assert.equal(reputation.blame('first'), false, 'its first strike was forgotten')
    assert.equal(reputation.blame('peer 4999'), true)
  })
})

test('guilt grows with each strike and is whole while a peer is shunned', () => {
  const time = clock()
  const reputation = createReputation(time, { strikes: 4, forgiveMs: 1_000, shunMs: 10_000 })
  assert.equal(reputation.guilt('a'), 0)
  reputation.blame('a')
  reputation.blame('a')
  assert.equal(reputation.guilt('a'), 0.5)
  time.ms = 1_000
  assert.equal(reputation.guilt('a'), 0.25)
  for (let strike = 0; strike < 4; strike += 1) reputation.blame('a')
  assert.equal(reputation.guilt('a'), 1)
})

suite('the gate', () => {
  const peer = { toString: () => 'peer' } as PeerId
  const from = (address: string) => ({ remoteAddr: multiaddr(address) }) as MultiaddrConnection
  const connections = (direction: 'inbound' | 'outbound', count = 0) =>
    Array<Connection>(count).fill({ direction } as Connection)
  const there = from('/ip4/203.0.113.7/tcp/4001')

  function gate(
    said: { admitted?: boolean; shunned?: boolean; inbound?: number; outbound?: number; turns?: RateLimit } = {},
  ) {
    const events: string[] = []
    const made = createGate(
      {
        admitted: () => said.admitted ?? true,
        shunned: () => said.shunned ?? false,
        connections: () => [...connections('inbound', said.inbound), ...connections('outbound', said.outbound)],
        failures: createRateLimit(clock(), { perSecond: 1, burst: 2 }),
        turns: said.turns ?? createRateLimit(clock(), TURNS),
        count: event => events.push(event),
      },
      { maxConnections: 8 },
    )
    return { events, gate: made }
  }

  test('refuses strangers and the shunned, by name', () => {
    for (const [said, event] of [
      [{ admitted: false }, 'connection_stranger'],
      [{ shunned: true }, 'connection_shunned'],
    ] as const) {
      const { events, gate: made } = gate(said)
      assert.equal(made.denyInboundEncryptedConnection?.(peer, there), true)
      assert.equal(made.denyDialPeer?.(peer), true)
      assert.deepEqual(events, [event])
    }
    assert.equal(gate().gate.denyInboundEncryptedConnection?.(peer, there), false)
  })

  test('lets a host wait that has failed often, but not who comes through a relay there', () => {
    const { events, gate: made } = gate({ admitted: false })
    for (let time = 0; time < 2; time += 1) {
      assert.equal(made.denyInboundConnection?.(there), false)
      made.denyInboundEncryptedConnection?.(peer, there)
    }
    assert.equal(made.denyInboundConnection?.(there), true)
    assert.equal(events.at(-1), 'connection_hasty')
    assert.equal(made.denyInboundConnection?.(from('/ip4/203.0.113.8/tcp/4001')), false)
    assert.equal(made.denyInboundConnection?.(from('/ip4/203.0.113.7/tcp/4001/p2p-circuit')), false)
  })

  test('keeps a quarter of the room for peers that this node looks for', () => {
    assert.equal(gate({ inbound: 5 }).gate.denyInboundUpgradedConnection?.(peer, there), false)
    assert.equal(gate({ inbound: 6 }).gate.denyInboundUpgradedConnection?.(peer, there), true)
    assert.equal(gate({ inbound: 2, outbound: 6 }).gate.denyInboundUpgradedConnection?.(peer, there), true)
  })

  test('lets who was let go just now wait, and nobody else', () => {
    const time = clock()
    const turns = createRateLimit(time, TURNS)
    const { events, gate: made } = gate({ turns })
    turns.take(peer.toString())
    assert.equal(made.denyInboundUpgradedConnection?.(peer, there), true)
    assert.deepEqual(events, ['connection_full'])
    const other = { toString: () => 'another' } as PeerId
    assert.equal(made.denyInboundUpgradedConnection?.(other, there), false)
    time.ms = 30_000
    assert.equal(made.denyInboundUpgradedConnection?.(peer, there), false)
  })
})

suite('the part in the DHT', () => {
  const [loopback, hospital, world] = ['127.0.0.1', '10.1.2.3', '8.8.8.8'].map(ip => multiaddr(`/ip4/${ip}/tcp/4001`))
  assert.ok(loopback && hospital && world)
  const relayed = multiaddr('/ip4/8.8.4.4/tcp/4001/p2p-circuit')
  const cases: [string, 'server' | 'client', Parameters<typeof modeFor>[0]][] = [
    ['on one machine', 'server', { own: [loopback], dialled: [loopback], called: false }],
    ['inside one hospital', 'server', { own: [hospital], dialled: [hospital], called: false }],
    ['behind NAT', 'client', { own: [hospital], dialled: [world], called: false }],
    ['behind NAT, but called', 'server', { own: [hospital], dialled: [world], called: true }],
    ['with a public address', 'server', { own: [hospital, world], dialled: [world], called: false }],
    ['reached through a relay alone', 'client', { own: [relayed], dialled: [hospital], called: false }],
    ['not listening, alone', 'server', { own: [], dialled: [], called: false }],
  ]
  for (const [where, mode, sight] of cases) test(`${where}: ${mode}`, () => assert.equal(modeFor(sight), mode))
})

suite('calls between threads', () => {
  const GONE = new Error('gone')

  function sides(answering: Answering) {
    const { port1, port2 } = new MessageChannel()
    const [here, there] = [createCalls(port1, {}), createCalls(port2, answering)]
    return {
      here,
      there,
      [Symbol.dispose]() {
        here.end(GONE)
        there.end(GONE)
        port1.close()
      },
    }
  }

  test('come back with a result or an error that says what was wrong', async () => {
    using pair = sides({
      double: (_signal, count: number) => 2 * count,
      fail: () => Promise.reject(Object.assign(new RangeError('too far'), { code: 'ERR_FAR' })),
    })
    assert.equal(await pair.here.call('double', [21]), 42)
    await assert.rejects(pair.here.call('fail', []), { name: 'RangeError', message: 'too far', code: 'ERR_FAR' })
  })

  test('are aborted on both sides, and end with their thread', async () => {
    const seen = Promise.withResolvers<unknown>()
    using pair = sides({
      wait: signal => new Promise(() => signal.addEventListener('abort', () => seen.resolve(signal.reason))),
    })
    const stop = new AbortController()
    const waiting = pair.here.call('wait', [], stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(waiting, { message: 'enough' })
    assert.equal(((await seen.promise) as Error).message, 'enough')
    const lost = pair.here.call('wait', [])
    pair.here.end(GONE)
    await assert.rejects(lost, GONE)
    await assert.rejects(pair.here.call('wait', []), GONE)
  })
})

test('a rate limit grants a burst and then the rate, to each peer its own', () => {
  const time = clock()
  const limit = createRateLimit(time, { perSecond: 2, burst: 5 })
  const granted = (peer: string) => Array.from({ length: 20 }, () => limit.take(peer)).filter(Boolean).length
  assert.equal(limit.has('a'), true)
  assert.equal(granted('a'), 5)
  assert.equal(limit.has('a'), false)
  assert.equal(granted('b'), 5)
  time.ms += 1_000
  assert.equal(granted('a'), 2)
  time.ms += 3_600_000
  assert.equal(granted('a'), 5)
})

suite('background errands', () => {
  const options = { concurrency: 2, maxWaiting: 3, deadlineMs: 50 }

  test('run a few at a time, each name once, and no more wait than may', async () => {
    const background = createBackground({ logger: quiet }, { ...options, deadlineMs: 5_000 })
    const gates: (() => void)[] = []
    const ran: string[] = []
    const errand = (name: string) =>
      background.run(name, () => {
        ran.push(name)
        const { promise, resolve } = Promise.withResolvers<void>()
        gates.push(resolve)
        return promise
      })
    for (const name of ['a', 'b', 'c', 'c', 'd', 'e', 'too many']) errand(name)
    assert.deepEqual(ran, ['a', 'b'])
    while (ran.length < 5) {
      const before = ran.length
      gates.shift()?.()
      await until(() => ran.length > before, 'the next one runs')
    }
    assert.deepEqual(ran, ['a', 'b', 'c', 'd', 'e'])
  })

  test('one that throws or hangs makes way for the next', async () => {
    const background = createBackground({ logger: quiet }, options)
    let ran = false
    background.run('throws', () => {
      throw new Error('at once')
    })
    background.run('rejects', () => Promise.reject(new Error('later')))
    for (const name of ['hangs', 'hangs too']) background.run(name, () => new Promise(() => {}))
    background.run('last', async () => {
      ran = true
    })
    await until(() => ran, 'the last one ran')
  })

  test('stopping aborts what runs and drops what waits', async () => {
    const background = createBackground({ logger: quiet }, { ...options, concurrency: 1, deadlineMs: 60_000 })
    const aborted = Promise.withResolvers<void>()
    background.run('running', signal => {
      signal.addEventListener('abort', () => aborted.resolve())
      return new Promise(() => {})
    })
    let ran = false
    background.run('waiting', async () => {
      ran = true
    })
    background.stop()
    await aborted.promise
    background.run('late', async () => {
      ran = true
    })
    assert.equal(ran, false)
  })
})

suite('the datastore', () => {
  const value = Uint8Array.of(1)
  const provider = (key: string, peer: string) => new Key(`/dht/provider/${key}/${peer}`)
  const names = (store: BoundedDatastore, prefix: string) =>
    [...(store.query({ prefix }) as Iterable<{ key: Key }>)].map(pair => pair.key.toString())

  async function somePeer() {
    const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    return { id: peer.toString(), record: new Key(`/peers/${peer.toCID().toString()}`) }
  }

  test('keeps, finds and deletes', () => {
    const store = new BoundedDatastore()
    for (const key of [new Key('/peers/a'), provider('k', 'p')]) {
      assert.equal(store.has(key), false)
      assert.throws(() => store.get(key), { name: 'NotFoundError' })
      store.put(key, value)
      assert.equal(store.has(key), true)
      assert.deepEqual(store.get(key), value)
      store.delete(key)
      assert.equal(store.has(key), false)
    }
  })

  test('lists the providers of one key, leaving out those without a peer record', async () => {
    const store = new BoundedDatastore()
    const [known, unknown] = [await somePeer(), await somePeer()]
    store.put(known.record, value)
    for (const peer of [known, unknown]) for (const key of ['k', 'other']) store.put(provider(key, peer.id), value)
    assert.deepEqual(names(store, '/dht/provider/k'), [provider('k', known.id).toString()])
    assert.deepEqual(names(store, '/peers/'), [known.record.toString()])
    assert.equal(names(store, '/dht/provider').length, 4, 'all of them, when it comes to renewing')
  })

  test('names those first who announced themselves last', async () => {
    const store = new BoundedDatastore()
    const peers = [await somePeer(), await somePeer(), await somePeer()]
    for (const { id, record } of [...peers, ...peers.slice(0, 1)]) {
      store.put(record, value)
      store.put(provider('k', id), value)
    }
    const [again, oldest, newest] = peers
    const expected = [again, newest, oldest].map(peer => provider('k', peer?.id ?? '').toString())
    assert.deepEqual(names(store, '/dht/provider/k'), expected)
  })

  test('forgets what was used longest ago, and never exceeds its bounds', async () => {
    const store = new BoundedDatastore({ maxRecords: 3, maxKeys: 2, maxProvidersPerKey: 2 })
    for (const name of ['a', 'b', 'c']) store.put(new Key(`/peers/${name}`), value)
    store.get(new Key('/peers/a'))
    store.put(new Key('/peers/d'), value)
    assert.deepEqual(names(store, '/peers/').sort(), ['/peers/a', '/peers/c', '/peers/d'])
    for (const key of ['k', 'l', 'm']) for (const peer of ['p', 'q', 'r']) store.put(provider(key, peer), value)
    assert.deepEqual(names(store, '/dht/provider').sort(), [
      '/dht/provider/l/q',
      '/dht/provider/l/r',
      '/dht/provider/m/q',
      '/dht/provider/m/r',
    ])
  })

  test('takes no record that grows without end', () => {
    assert.throws(() => new BoundedDatastore().put(new Key('/peers/a'), new Uint8Array(16_385)), RangeError)
  })
})

suite('deadlines', () => {
  test('the one that comes first decides, and a late failure is nobody’s concern', async () => {
    const late = Promise.withResolvers<never>()
    await assert.rejects(within(AbortSignal.abort(new Error('stop')), late.promise), { message: 'stop' })
    await assert.rejects(within(deadline(1), late.promise), { name: 'TimeoutError' })
    assert.equal(await within(deadline(1_000), Promise.resolve('in time')), 'in time')
    late.reject(new Error('an unhandled rejection would end this process'))
  })

  test('a deadline also ends with the signal it was given', () => {
    const outer = new AbortController()
    const signal = deadline(60_000, undefined, outer.signal)
    assert.equal(signal.aborted, false)
    outer.abort()
    assert.equal(signal.aborted, true)
  })
})
