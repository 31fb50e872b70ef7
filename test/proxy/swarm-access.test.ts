import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { pino } from 'pino'
import { openSwarmAccess } from '../../proxy/swarm-access.ts'
import type { Access } from '../../router/network/libp2p.ts'
import { createSwarmKey, readSwarm, type Swarm, writeSwarm } from '../../router/swarm.ts'
import { until } from '../support/poll.ts'
import { chat, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const logger = pino({ level: 'silent' })
const PATIENCE = { deadlineMs: 150_000 }

async function someone(): Promise<string> {
  return (await generateKeyPair('Ed25519')).publicKey.toString()
}

suite('who belongs to the swarm', () => {
  test('is everybody where there is no folder, and nobody’s guess where there must be one', async () => {
    await using folder = await tempFolder()
    const options = { folder: join(folder.path, 'swarm'), mustBeClosed: false, bootstrap: ['/ip4/127.0.0.1/tcp/1'] }
    await using open = await openSwarmAccess({ logger }, options)
    assert.deepEqual(open.current(), { bootstrap: ['/ip4/127.0.0.1/tcp/1'] })
    assert.ok(open.admits('anybody'))
    await assert.rejects(openSwarmAccess({ logger }, { ...options, mustBeClosed: true }), { code: 'ERR_SWARM_INVALID' })
  })

  test('follows the files; what cannot be understood, or is gone, changes nothing', async () => {
    await using folder = await tempFolder()
    const [first, second] = [await someone(), await someone()]
    const closed: Swarm = { key: createSwarmKey(), members: new Map([[first, 'one']]), bootstrap: [] }
    await writeSwarm(folder.path, closed)
    await using access = await openSwarmAccess(
      { logger },
      { folder: folder.path, mustBeClosed: true, bootstrap: [], lookMs: 10 },
    )
    assert.deepEqual([access.admits(first), access.admits(second)], [true, false])
    const told: Access[] = []
    access.watch(async changed => void told.push(changed))
    await writeFile(join(folder.path, 'members.txt'), `${second} # the other\nnonsense\n`)
    await writeFile(join(folder.path, 'members.txt'), `# all\n${first} one\n${second}\n`)
    await until('the change', () => told.length > 0, PATIENCE)
    assert.deepEqual(told.at(-1), { swarmKey: closed.key, members: [first, second], bootstrap: [] })
    assert.ok(access.admits(second))
    await rm(join(folder.path, 'swarm.key'))
    await writeFile(join(folder.path, 'bootstrap.txt'), '/ip4/127.0.0.1/tcp/9\n')
    assert.equal(await readSwarm(folder.path), undefined)
    assert.equal(access.current().swarmKey, closed.key)
    await writeFile(join(folder.path, 'swarm.key'), 'rubbish')
    await assert.rejects(readSwarm(folder.path), { code: 'ERR_SWARM_INVALID' })
    assert.equal(access.current().swarmKey, closed.key)
  })

  test('can change under a running sidecar, which serves on', async () => {
    await using upstream = await startUpstream()
    await using folder = await tempFolder()
    const closed: Swarm = { key: createSwarmKey(), members: undefined, bootstrap: [] }
    await writeSwarm(folder.path, closed)
    const settings = { QIS_MODE: 'share', QIS_SWARM: folder.path }
    await using one = await startTestSidecar(upstream.url, settings)
    const bootstrap = one.sidecar.router.status().addresses.join(',')
    await using other = await startTestSidecar(upstream.url, { ...settings, QIS_BOOTSTRAP: bootstrap })
    const peers = () => one.sidecar.router.status().peers
    await until('them to meet', () => peers().length === 1, PATIENCE)
    const { id } = one.sidecar.router.status()
    await writeSwarm(folder.path, { ...closed, members: new Map([[id, '']]) })
    await until('the one to be let go', () => peers().length === 0, PATIENCE)
    for (const site of [one, other]) assert.equal((await chat(site.data, 'hello')).status, 200)
    await writeSwarm(folder.path, {
      ...closed,
      members: new Map([id, other.sidecar.router.status().id].map(member => [member, ''])),
    })
    await until('them to meet again', () => peers().length === 1, PATIENCE)
  })
})
