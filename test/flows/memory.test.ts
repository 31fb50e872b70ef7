import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { tempFolder } from '../support/temp-folder.ts'

test('npm start keeps what it has stripped of types, and the next start, without the stripper, takes 10 MB less', {
  skip: process.platform !== 'linux' && 'there is no /proc',
}, async () => {
  await using folder = await tempFolder()
  /** What a sidecar takes that has just started, apart from what it shares with others, MB. */
  const ownMb = async (environment: Record<string, string> = {}) => {
    const settings = { QIS_UPSTREAM: 'http://127.0.0.1:9', QIS_DATA: folder.path, QIS_MODE: 'off', ...environment }
    await using sidecar = await startSidecar(settings)
    const status = readFileSync(`/proc/${sidecar.child.pid}/status`, 'utf8')
    // What was compiled is kept when it ends by itself.
    const exited = once(sidecar.child, 'exit')
    sidecar.child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024
  }
  await ownMb()
  const [kept, anew] = [await ownMb(), await ownMb({ NODE_DISABLE_COMPILE_CACHE: '1' })]
  assert.ok(kept < anew - 10, `${kept} MB, and ${anew} MB where nothing is kept`)
})
