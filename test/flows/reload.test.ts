/** SIGHUP at a real process: what changes, what waits, and what happens when the file is wrong. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type SidecarProcess, startSidecar } from '../../demo/sidecar-process.ts'
import { createSwarmKey, readSwarm, writeSwarm } from '../../router/swarm.ts'
import { answering } from '../support/asking.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'
const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'

suite('a running sidecar that is sent SIGHUP', () => {
  const parts = new AsyncDisposableStack()
  let site: SidecarProcess
  let folder: string
  let upstream: Awaited<ReturnType<typeof answering>>
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string) => writeFile(path(name), text)

  before(async () => {
    upstream = parts.use(await answering())
    folder = parts.use(await tempFolder()).path
    await writeSwarm(path('swarm'), { key: createSwarmKey(), members: undefined, bootstrap: [] })
    await write('domains.yaml', 'domains: {clinical: {paths: [/v1]}}\n')
    await write('qis.yaml', 'domains: domains.yaml\nimplicit: off\n')
    site = parts.use(
      await startSidecar({
        QIS_CONFIG: path('qis.yaml'),
        QIS_UPSTREAM: upstream.url,
        QIS_DATA: path('data'),
        QIS_SWARM: path('swarm'),
        QIS_PROFILE: 'open',
      }),
    )
  })
  after(() => parts.disposeAsync())

  /** The line that says what came of it. */
  async function hangUp(): Promise<Record<string, unknown>> {
    const from = site.log.length
    site.child.kill('SIGHUP')
    const line = await until('the settings to be read', () =>
      site.log.slice(from).find(one => one.includes('the settings were read anew')),
    )
    return JSON.parse(line)
  }

  const swarmKey = async () => (await readSwarm(path('swarm')))?.key ?? ''
  const statusOf = async () => (await (await fetch(`${site.admin}/qis/status`)).json()) as { swarm: object }

  const scraped = async () => (await fetch(`${site.admin}/metrics`)).text()
  const asked = async (domain: string) =>
    Number(
      new RegExp(`^qis_domains_total\\{domain="${domain}",source="path"\\} (\\d+)$`, 'm').exec(await scraped())?.[1] ??
        0,
    )

  test('takes up what can change at once, and says what has to wait', async () => {
    await (await chat(site.data, QUESTION)).text()
    assert.deepEqual([await asked('clinical'), await asked('legal')], [1, 0])

    await write('domains.yaml', 'domains: {legal: {paths: [/v1]}}\n')
    await write(
      'qis.yaml',
      'domains: domains.yaml\nimplicit: off\nrate_limit: 1\nmax_body_bytes: 5\nfeedback_token: secret\nmode: receive\n',
    )
    const { changed, level } = await hangUp()
    assert.deepEqual([changed, level], [['feedback_token', 'rate_limit', 'max_body_bytes'], 30])
    await until('what waits', () => site.log.some(line => line.includes('"waiting":["mode"]')))
    assert.equal((await chat(site.data, QUESTION)).status, 413, 'max_body_bytes')
    assert.equal((await postFeedback(site.data, { completion_id: 'chatcmpl-1', rating: 'up' })).status, 401, 'a token')
    assert.equal((await postFeedback(site.data, { completion_id: 'chatcmpl-1', rating: 'up' })).status, 429, 'the rate')

    await write('qis.yaml', 'domains: domains.yaml\nimplicit: off\n')
    assert.deepEqual((await hangUp()).changed, ['feedback_token', 'rate_limit', 'max_body_bytes'])
    await (await chat(site.data, QUESTION)).text()
    assert.deepEqual([await asked('clinical'), await asked('legal')], [1, 1], 'the file of domains was read anew')
  })

  test('goes on as it was where anything is wrong, in the file or in one that it names', async () => {
    await write('qis.yaml', 'domains: domains.yaml\nrate_limit: 1\nprofile: opne\n')
    const { level, err } = (await hangUp()) as { level: number; err: { message: string } }
    assert.equal(level, 50)
    assert.match(err.message, /qis\.yaml:3: profile must be one of/)

    await write('qis.yaml', 'domains: domains.yaml\nimplicit: off\nmax_body_bytes: 5\n')
    await write('domains.yaml', 'domains: {clinical: {paths: [oops]}}\n')
    const refused = (await hangUp()) as typeof err & { err: { message: string } }
    assert.match(refused.err.message, /domains\.clinical\.paths\[0\] must be the beginning of a path/)
    const before = await asked('legal')
    assert.equal((await chat(site.data, QUESTION)).status, 200, 'max_body_bytes did not change by itself')
    assert.equal(await asked('legal'), before + 1, 'the domains are those of before')
  })

  test('reads the files of the swarm as well, without waiting', async () => {
    await write('qis.yaml', 'implicit: off\n')
    await writeSwarm(path('swarm'), { key: await swarmKey(), members: new Map([[PEER, 'a']]), bootstrap: [] })
    await hangUp()
    await until('the swarm', () => site.log.some(line => line.includes('the files of the swarm have changed')))
    assert.deepEqual((await statusOf()).swarm, { closed: true, members: 1 })
  })

  test('changes how much it logs, in every part', async () => {
    await write('qis.yaml', 'implicit: off\nlog_level: error\nmax_body_bytes: 5\n')
    const told = () => site.log.filter(line => /read anew|have changed/.test(line)).length
    const before = told()
    site.child.kill('SIGHUP')
    await until('the change', async () => (await chat(site.data, QUESTION)).status === 413)
    await writeSwarm(path('swarm'), { key: await swarmKey(), members: new Map(), bootstrap: [] })
    site.child.kill('SIGHUP')
    await until('no member', async () => ((await statusOf()).swarm as { members: number }).members === 0)
    assert.equal(told(), before, 'neither the change nor that of the swarm is worth an error')
    await write('qis.yaml', 'implicit: off\nlog_level: info\nmax_body_bytes: 5\n')
    assert.deepEqual((await hangUp()).changed, ['log_level'])
  })
})
