import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createLink } from '../../router/link.ts'
import { NetworkStartError } from '../../router/network/network.ts'
import { quiet } from './network/swarm.ts'

const HANDLERS = { receive: async () => 'ignore' as const, list: async () => [] }

/** A link over a network that starts when it may, on a clock that is moved by hand. */
function rig(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const stopping = new AbortController()
  const seen = { attempts: 0, ups: 0, works: false, lost: () => {} }
  const link = createLink({
    network: {
      async start(handlers) {
        seen.attempts += 1
        seen.lost = () => handlers.lost?.()
        if (!seen.works) throw new NetworkStartError('no such interface')
      },
    },
    logger: quiet,
    now: () => Math.floor(Date.now() / 1000),
    random: () => 1,
    stopping: stopping.signal,
  })
  const start = () =>
    link.start(HANDLERS, () => {
      seen.ups += 1
    })
  const outage = () => link.status().outage
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms)
    await nextTurn()
  }
  return { link, start, outage, seen, stopping, pass }
}

suite('the link to the network', () => {
  test('is tried again after 1, 2, 4 seconds and so on, at most a minute, and tells how it stands', async t => {
    const { link, start, outage, seen, pass } = rig(t)
    await start()
    assert.deepEqual([link.up, outage()], [false, { problem: 'no such interface', failures: 1, retryAt: 1 }])
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const before = seen.attempts
      await pass(1_000 * seconds - 1)
      assert.equal(seen.attempts, before, `not before ${seconds} s`)
      await pass(1)
      assert.equal(seen.attempts, before + 1, `after ${seconds} s`)
    }
    assert.equal(outage()?.failures, 9)
    seen.works = true
    await pass(60_000)
    assert.deepEqual([link.up, outage(), seen.ups], [true, undefined, 1])
    await pass(3_600_000)
    assert.equal(seen.attempts, 10, 'what is up is left alone')
  })

  test('that has ended is taken up again, the later the more often it ends soon after', async t => {
    const { link, start, seen, pass } = rig(t)
    seen.works = true
    await start()
    for (const seconds of [1, 2, 4]) {
      seen.lost()
      seen.lost()
      assert.equal(link.up, false)
      await pass(1_000 * seconds - 1)
      assert.equal(link.up, false, `not before ${seconds} s`)
      await pass(1)
      assert.equal(link.up, true, `after ${seconds} s`)
    }
    await pass(60_000)
    seen.lost()
    await pass(1_000)
    assert.deepEqual([link.up, seen.attempts], [true, 5], 'one that held is taken up soon')
  })

  test('is not tried again once the program stops', async t => {
    const { link, start, seen, stopping, pass } = rig(t)
    await start()
    stopping.abort()
    await pass(3_600_000)
    assert.deepEqual([seen.attempts, link.up], [1, false])
  })
})
