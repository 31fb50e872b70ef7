import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { inSlices } from '../../router/in-slices.ts'
import { createMemorySwarm } from '../../router/network/memory.ts'
import { FLIGHT, startNode, TRAIN } from '../support/router-node.ts'
import { temporaryFolder, until } from '../support/router-support.ts'

async function* count(to: number) {
  for (let item = 0; item < to; item++) yield item
}

describe('work in slices', () => {
  it('lets others have their turn, and does all of it in order', async () => {
    const done: number[] = []
    let turns = 0
    const others = setInterval(() => turns++, 1)
    await inSlices(
      count(30),
      item => {
        const until = performance.now() + 1
        while (performance.now() < until) done[item] = item
      },
      { stopping: new AbortController().signal },
    )
    clearInterval(others)
    assert.deepEqual(done, [...Array(30).keys()])
    assert.ok(turns >= 5, `${turns} turns in 30 ms`)
  })

  it('ends between two items when it is to stop', async () => {
    const stopping = new AbortController()
    let done = 0
    const work = () => void (++done === 3 && stopping.abort())
    await inSlices(count(100), work, { stopping: stopping.signal })
    assert.equal(done, 3)
  })
})

describe('a store with more packets than are soon read', () => {
  it('keeps nobody waiting: questions are answered, and the network comes when it has been read', async () => {
    await using folder = await temporaryFolder()
    const [file, identityFile] = [folder.path('qis.db'), folder.path('identity.key')]
    const swarm = createMemorySwarm()
    await (async () => {
      await using peer = await startNode(swarm)
      await using node = await startNode(swarm, { file, identityFile, mode: 'receive' })
      await node.ask(FLIGHT)
      await peer.learn(TRAIN, { signal: 0 })
      await until(() => node.accepted.length === 1, 'a packet came')
    })()

    const gate = Promise.withResolvers<void>()
    const began = performance.now()
    await using node = await startNode(createMemorySwarm(), {
      file,
      identityFile,
      wrapStore: store => ({
        ...store,
        async *packets(now, limit) {
          await gate.promise
          yield* store.packets(now, limit)
        },
      }),
    })
    assert.ok(performance.now() - began < 60_000)
    assert.equal((await node.ask(FLIGHT)).packets, 0)
    assert.equal(node.router.status().networkUp, false)
    gate.resolve()
    await until(() => node.router.status().networkUp, 'the network')
    assert.equal((await node.ask(FLIGHT)).packets, 1)
  })

  it('does not keep it from stopping', async () => {
    const gate = Promise.withResolvers<void>()
    const node = await startNode(createMemorySwarm(), {
      wrapStore: store => ({
        ...store,
        async *packets(now, limit) {
          await gate.promise
          yield* store.packets(now, limit)
        },
      }),
    })
    const stopped = node[Symbol.asyncDispose]()
    await wait(10)
    gate.resolve()
    await stopped
    assert.equal(node.router.status().networkUp, false)
  })
})
