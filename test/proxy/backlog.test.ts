import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Allowance } from '../../proxy/observe/allowance.ts'
import { createBacklog } from '../../proxy/observe/backlog.ts'
import { until } from '../support/poll.ts'

const A_TURN = 64

/** Takes longer than a turn of the backlog. */
function longWork(): void {
  const end = performance.now() + 0.15
  while (performance.now() < end);
}

test('what waits stays within a few turns of what comes, however long that goes on, and is done in order', async () => {
  const backlog = createBacklog(new Allowance(1 << 30))
  const done: number[] = []
  let added = 0
  let mostWaiting = 0
  for (let turn = 0; turn < 60; turn++) {
    for (let count = 0; count < A_TURN; count++) {
      const number = added++
      backlog.add(0, () => {
        longWork()
        done.push(number)
      })
    }
    mostWaiting = Math.max(mostWaiting, added - done.length)
    await nextTurn()
  }
  assert.ok(mostWaiting <= 10 * A_TURN, `${mostWaiting} waited`)
  await until('the rest', () => done.length === added)
  assert.deepEqual(
    done,
    Array.from({ length: added }, (_, number) => number),
  )
})

test('what little waits is done a bit at a time, so that a question that comes meanwhile need not wait for all of it', async () => {
  const backlog = createBacklog(new Allowance(1 << 30))
  let done = 0
  for (let count = 0; count < 8; count++) {
    backlog.add(0, () => {
      longWork()
      done++
    })
  }
  await nextTurn()
  assert.ok(done < 8, `${done} in one turn`)
  await until('the rest', () => done === 8)
})

test('what finds no room is refused, and there is room again when something is done', async () => {
  const backlog = createBacklog(new Allowance(2_000))
  let done = 0
  assert.equal(
    backlog.add(1_500, () => done++),
    true,
  )
  assert.equal(
    backlog.add(1_500, () => done++),
    false,
  )
  await until('the first', () => done === 1)
  assert.equal(
    backlog.add(1_500, () => done++),
    true,
  )
  await until('the other', () => done === 2)
})
