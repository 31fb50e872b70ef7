/** What every network must do, whatever carries the bytes. An implementation is tested by calling `networkContract`. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'
import { MAX_FRAME_BYTES, type Network, type NetworkHandlers, type Verdict } from '../../router/network/network.ts'

export interface SwarmUnderTest extends AsyncDisposable {
  /** A started network; the first one is where the others look for peers. */
  add(handlers: NetworkHandlers, options?: { members?: readonly string[] }): Promise<Network>
}

/** Handlers that keep what they are given, in order. */
export interface Recorder extends NetworkHandlers {
  readonly received: { key: RoutingKey; text: string }[]
  /** Ids of the peers that handed them over. */
  readonly from: Set<string | undefined>
  /** Texts received for a key. */
  texts(key: RoutingKey): string[]
}

export function recorder(verdict: (text: string) => Verdict = () => 'accept', held: Uint8Array[] = []): Recorder {
  const received: Recorder['received'] = []
  const from: Recorder['from'] = new Set()
  return {
    received,
    from,
    texts: key => received.filter(packet => packet.key === key).map(packet => packet.text),
    async receive(key, bytes, peer) {
      from.add(peer)
      const text = Buffer.from(bytes).toString()
      received.push({ key, text })
      return verdict(text)
    },
    list: async (_key, { offset, limit }) => held.slice(offset, offset + limit),
  }
}

/** A machine that is busy with other things is slow, not wrong; and the last attempt at a backfill comes after a minute. */
const PATIENCE_MS = 150_000

/** Resolves as soon as `condition` holds; fails in the end. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (!condition()) {
    if (performance.now() > end) assert.fail(`waited in vain until ${what}`)
    await nextTurn()
  }
}

/** Longer than a node takes that is cut off, shorter than what it may wait for while it runs. */
const STOP_MS = 8_000

export const utf8 = (text: string) => Buffer.from(text)

export function networkContract(name: string, createSwarm: () => Promise<SwarmUnderTest>): void {
  const key = routingKey('0123abcd', 'clinical', 7)
  const otherKey = routingKey('0123abcd', 'clinical', 8)

  /** One who publishes, and two who hear it: one that is to leave, and one that stays. */
  async function threeOnOneKey(swarm: SwarmUnderTest, leaver: Recorder) {
    const stayer = recorder()
    const sender = await swarm.add(recorder())
    const leaving = await swarm.add(leaver)
    const staying = await swarm.add(stayer)
    leaving.join(key)
    staying.join(key)
    await publishUntilHeard(sender, key, leaver, stayer)
    return { sender, leaving, stayer }
  }

  suite(`${name} keeps the network contract`, () => {
    test('a packet reaches those who joined its key and nobody else', async () => {
      await using swarm = await createSwarm()
      const [sender, joiner, second, outsider] = [recorder(), recorder(), recorder(), recorder()]
      const network = await swarm.add(sender)
      const others = [await swarm.add(joiner), await swarm.add(second), await swarm.add(outsider)]
      for (const member of [network, others[0], others[1]]) member?.join(key)
      others[2]?.join(otherKey)

      await publishUntilHeard(network, key, joiner, second)
      // whoever was wrongly sent a copy was sent it before this one
      await publishUntilHeard(network, otherKey, outsider)

      assert.deepEqual(new Set(joiner.received.map(packet => packet.key)), new Set([key]))
      assert.deepEqual(new Set(second.received.map(packet => packet.key)), new Set([key]))
      assert.deepEqual(new Set(outsider.received.map(packet => packet.key)), new Set([otherKey]))
      assert.deepEqual(sender.received, [], 'a packet does not come back to its sender')
    })

    test('it is told who handed a packet over, and how each peer is connected', async () => {
      await using swarm = await createSwarm()
      const joiner = recorder()
      const sender = await swarm.add(recorder())
      const other = await swarm.add(joiner)
      other.join(key)
      await publishUntilHeard(sender, key, joiner)
      assert.deepEqual(joiner.from, new Set([sender.status().id]))
      const { connected, peers } = other.status()
      assert.deepEqual(
        connected.map(({ id }) => id),
        peers,
      )
      for (const { addresses, since } of connected) {
        assert.ok(addresses.length > 0 && addresses.every(address => address.startsWith('/')))
        assert.ok(Math.abs(Date.now() / 1000 - since) < 60, `${since} is not now`)
      }
    })

    test('each packet arrives once, unchanged', async () => {
      await using swarm = await createSwarm()
      const [a, b, c] = [recorder(), recorder(), recorder()]
      const networks = [await swarm.add(a), await swarm.add(b), await swarm.add(c)]
      for (const network of networks) network.join(key)
      await publishUntilHeard(networks[0], key, b, c)
      const texts = Array.from({ length: 20 }, (_, index) => `packet ${index} é\u0000`)
      for (const text of texts) await networks[0]?.publish(key, utf8(text))
      for (const heard of [b, c]) {
        await until(() => texts.every(text => heard.texts(key).includes(text)), 'all packets arrived')
        assert.equal(new Set(heard.texts(key)).size, heard.texts(key).length)
      }
    })

    test('a sender that has not joined reaches those who have, and hears nothing itself', async () => {
      await using swarm = await createSwarm()
      const [sender, joiner] = [recorder(), recorder()]
      const network = await swarm.add(sender)
      const other = await swarm.add(joiner)
      other.join(key)
      await publishUntilHeard(network, key, joiner)
      await publishUntilHeard(other, otherKey) // resolves to 0: nobody joined
      assert.equal(await other.publish(key, utf8('to nobody')), 0)
      assert.deepEqual(sender.received, [])
    })

    test('the buffer of a published packet can be reused at once', async () => {
      await using swarm = await createSwarm()
      const joiner = recorder()
      const network = await swarm.add(recorder())
      const other = await swarm.add(joiner)
      other.join(key)
      await publishUntilHeard(network, key, joiner)
      const bytes = utf8('original')
      const published = network.publish(key, bytes)
      bytes.fill(0)
      await published
      await until(() => joiner.texts(key).length > 1, 'the second packet arrived')
      assert.equal(joiner.texts(key).at(-1), 'original')
    })

    test('being alone is no error', async () => {
      await using swarm = await createSwarm()
      const network = await swarm.add(recorder())
      network.join(key)
      assert.equal(await network.publish(key, utf8('anyone?')), 0)
      assert.equal(await network.backfill(key), 0)
      assert.deepEqual(network.status().peers, [])
    })

    test('a packet that reached nobody can be published again', async () => {
      await using swarm = await createSwarm()
      const joiner = recorder()
      const network = await swarm.add(recorder())
      assert.equal(await network.publish(key, utf8('patience')), 0)
      const other = await swarm.add(joiner)
      other.join(key)
      await until(() => network.status().peers.length > 0, 'the peer connected')
      await retry(() => network.publish(key, utf8('patience')))
      await until(() => joiner.texts(key).includes('patience'), 'the packet arrived')
    })

    test('what is accepted is relayed, what is ignored or rejected is not', async () => {
      await using swarm = await createSwarm()
      const middle = recorder(text =>
        text.startsWith('bad') ? 'reject' : text.startsWith('old') ? 'ignore' : 'accept',
      )
      const last = recorder()
      const middleNetwork = await swarm.add(middle)
      const onlyMiddle = { members: [middleNetwork.status().id] }
      const firstNetwork = await swarm.add(recorder(), onlyMiddle)
      const lastNetwork = await swarm.add(last, onlyMiddle)
      for (const network of [middleNetwork, firstNetwork, lastNetwork]) network.join(key)

      await publishUntilHeard(firstNetwork, key, last)
      for (const text of ['bad news', 'old news', 'good news']) await firstNetwork.publish(key, utf8(text))
      await until(() => last.texts(key).includes('good news'), 'the accepted packet came through')
      await until(() => ['bad news', 'old news'].every(text => middle.texts(key).includes(text)), 'all were judged')
      assert.ok(!last.texts(key).includes('bad news'))
      assert.ok(!last.texts(key).includes('old news'))
    })

    test('a peer whose packets are rejected again and again is no longer heard', async () => {
      await using swarm = await createSwarm()
      const judge = recorder(text => (text.startsWith('spam') ? 'reject' : 'accept'))
      const judgeNetwork = await swarm.add(judge)
      const spammer = await swarm.add(recorder())
      judgeNetwork.join(key)
      await publishUntilHeard(spammer, key, judge)
      const shunned = () => !judgeNetwork.status().peers.includes(spammer.status().id)
      for (let index = 0; index < 100 && !shunned(); index += 1) {
        await spammer.publish(key, utf8(`spam ${index}`))
        await until(() => shunned() || judge.texts(key).includes(`spam ${index}`), 'the packet was judged')
      }
      assert.ok(shunned())
      await until(() => !spammer.status().peers.includes(judgeNetwork.status().id), 'both are apart')
      const heard = judge.received.length
      assert.ok(heard < 100)
      assert.equal(await spammer.publish(key, utf8('sincerely')), 0)
      assert.equal(judge.received.length, heard)
    })

    test('a newcomer is given what older nodes hold, page after page, each packet once', async () => {
      await using swarm = await createSwarm()
      const held = Array.from({ length: 150 }, (_, index) => utf8(`held ${index}`))
      const newcomer = recorder()
      for (const handlers of [recorder(undefined, held), recorder(undefined, held.slice(0, 100))]) {
        ;(await swarm.add(handlers)).join(key)
      }
      const network = await swarm.add(newcomer)
      await until(() => network.status().peers.length > 0, 'the newcomer connected')
      network.join(key)
      await until(() => new Set(newcomer.texts(key)).size === 150, 'all packets arrived')
      await until(() => newcomer.texts(key)[0] === 'held 0', 'the newest came first')
    })

    test('an older node is given what a newcomer holds', async () => {
      await using swarm = await createSwarm()
      const older = recorder()
      ;(await swarm.add(older)).join(key)
      const network = await swarm.add(recorder(undefined, [utf8('made while away')]))
      network.join(key)
      await until(() => older.texts(key).includes('made while away'), 'the packet arrived')
    })

    test('backfill counts different packets and needs no join', async () => {
      await using swarm = await createSwarm()
      const held = ['one', 'two', 'three'].map(utf8)
      const curious = recorder()
      for (const handlers of [recorder(undefined, held), recorder(undefined, held)]) {
        ;(await swarm.add(handlers)).join(key)
      }
      const network = await swarm.add(curious)
      await until(() => network.status().peers.length > 0, 'connected')
      await retry(() => network.backfill(key))
      assert.deepEqual(new Set(curious.texts(key)), new Set(['one', 'two', 'three']))
      assert.equal(await network.backfill(key), 3)
      assert.equal(network.status().keys, 0)
    })

    test('a handler that throws does no harm', async () => {
      await using swarm = await createSwarm()
      const faulty: NetworkHandlers = {
        receive: () => Promise.reject(new Error('receive is broken')),
        list: () => Promise.reject(new Error('list is broken')),
      }
      const joiner = recorder()
      const faultyNetwork = await swarm.add(faulty)
      const sender = await swarm.add(recorder())
      const other = await swarm.add(joiner)
      faultyNetwork.join(key)
      other.join(key)
      await publishUntilHeard(sender, key, joiner)
      assert.equal(await other.backfill(key), 0)
      assert.ok(faultyNetwork.status().peers.length > 0, 'the faulty node is still connected')
    })

    test('after leaving, nothing more arrives', async () => {
      await using swarm = await createSwarm()
      const leaver = recorder()
      const { sender, leaving, stayer } = await threeOnOneKey(swarm, leaver)
      leaving.leave(key)
      const before = leaver.received.length
      await sender.publish(key, utf8('after'))
      await until(() => stayer.texts(key).includes('after'), 'the one who stayed heard it')
      assert.ok(!leaver.received.slice(before).some(packet => packet.text === 'after'))
      assert.equal(leaving.status().keys, 0)
      leaving.join(key)
      await publishUntilHeard(sender, key, leaver)
    })

    test('what is on its way when a key is left does not arrive', async () => {
      await using swarm = await createSwarm()
      const texts = Array.from({ length: 20 }, (_, index) => `packet ${index}`)
      const leaver = recorder(text => {
        if (texts.includes(text)) leaving.leave(key)
        return 'accept'
      })
      const { sender, leaving, stayer } = await threeOnOneKey(swarm, leaver)
      await Promise.all(texts.map(text => sender.publish(key, utf8(text))))
      await until(() => texts.every(text => stayer.texts(key).includes(text)), 'the one who stayed heard all')
      await until(() => leaving.status().keys === 0, 'the other one heard the first and left')
      assert.equal(leaver.texts(key).filter(text => texts.includes(text)).length, 1)
    })

    test('bytes that cannot be a packet are refused', async () => {
      await using swarm = await createSwarm()
      const network = await swarm.add(recorder())
      for (const length of [0, MAX_FRAME_BYTES + 1]) {
        await assert.rejects(network.publish(key, new Uint8Array(length)), { code: 'ERR_NETWORK_FRAME' })
      }
    })

    test('stopping is prompt and may be repeated; what is asked afterwards does nothing', async () => {
      await using swarm = await createSwarm()
      const other = recorder()
      const network = await swarm.add(recorder())
      ;(await swarm.add(other)).join(key)
      await publishUntilHeard(network, key, other)
      const began = performance.now()
      await Promise.all([network[Symbol.asyncDispose](), network[Symbol.asyncDispose]()])
      await network[Symbol.asyncDispose]()
      assert.ok(performance.now() - began < STOP_MS)
      network.join(key)
      network.leave(key)
      assert.equal(await network.publish(key, utf8('late')), 0)
      assert.equal(await network.backfill(key), 0)
      assert.deepEqual(network.status().peers, [])
      assert.deepEqual(network.status().addresses, [])
      await assert.rejects(network.start(recorder()), { code: 'ERR_NETWORK_START' })
    })
  })
}

/** Sets each packet apart from every other. */
let serial = 0

/** Publishes different packets until each listener has heard one; with no listener, once. */
export async function publishUntilHeard(
  network: Network | undefined,
  key: RoutingKey,
  ...listeners: Recorder[]
): Promise<void> {
  serial += 1
  const hello = `hello ${serial} `
  const deaf = () => listeners.filter(listener => !listener.texts(key).some(text => text.startsWith(hello)))
  await retry(async () => {
    serial += 1
    await network?.publish(key, utf8(hello + serial))
    const end = performance.now() + 200
    while (deaf().length > 0 && performance.now() < end) await nextTurn()
    return deaf().length === 0 ? 1 : 0
  })
}

/** Repeats until the result is above 0; fails in the end. */
export async function retry(attempt: () => Promise<number>): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while ((await attempt()) === 0) {
    if (performance.now() > end) assert.fail('tried in vain')
    await nextTurn()
  }
}
