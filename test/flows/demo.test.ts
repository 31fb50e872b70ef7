import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

test('the demo shows a lesson travel from one deployment to another, and nothing else', async () => {
  const demo = join(import.meta.dirname, '../../demo/main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [demo, '--json'], { timeout: 180_000 })
  const figures = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  const fall = figures.before - figures.after
  assert.ok(fall >= 0.05, stdout)
  assert.ok(Math.abs(figures.unrelated_before - figures.unrelated_after) < fall / 2, stdout)
  assert.ok(figures.seconds <= 5, stdout) // a tenth of it beside six busy programs on two processors
  assert.ok(figures.packet_bytes_max > 0 && figures.packet_bytes_max <= 512, stdout)
  assert.equal(figures.leaks, 0, stdout)
})
