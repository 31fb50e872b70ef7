/** Three deployments as three processes, started as the README says, find each other and learn from each other. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type SidecarProcess, startSidecar } from '../../demo/sidecar-process.ts'
import { createSwarmKey, writeSwarm } from '../../router/swarm.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How much ibuprofen may an adult take per day?'
/** What was published to nobody is sent again after a minute. */
const DEADLINE = { deadlineMs: 150_000, everyMs: 200 }

const peersOf = async (site: SidecarProcess) =>
  ((await (await fetch(`${site.admin}/qis/status`)).json()) as { peers: string[] }).peers

async function confidence(site: SidecarProcess): Promise<string | null> {
  const response = await chat(site.data, QUESTION)
  await response.text()
  return response.headers.get('x-qis-confidence')
}

/** All are connected with all, or by one of them, and what one is told changes what the others say. */
async function areASwarm(sites: readonly SidecarProcess[]): Promise<void> {
  for (const site of sites) await until('peers', async () => (await peersOf(site)).length > 0, DEADLINE)
  for (const site of sites) await confidence(site)
  const [teller, ...listeners] = sites
  assert.ok(teller)
  const response = await chat(teller.data, QUESTION)
  await response.text()
  const request_id = response.headers.get('x-qis-request-id')
  assert.equal((await postFeedback(teller.data, { request_id, rating: 'down' })).status, 202)
  for (const listener of listeners) {
    await until('the lesson', async () => Number((await confidence(listener)) ?? 1) < 0.5, DEADLINE)
  }
}

/** Whether a datagram to mDNS's group comes back on this machine. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    socket.bind(0)
    await once(socket, 'listening')
    socket.addMembership('224.0.0.251')
    socket.setMulticastLoopback(true)
    const came = once(socket, 'message', { signal: AbortSignal.timeout(2_000) })
    socket.send('qis', socket.address().port, '224.0.0.251')
    await came
    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}

type Settings = (name: string, others: readonly SidecarProcess[]) => Record<string, string>

const threeSites = (settings: Settings) => sitesNamed(['a', 'b', 'c'], settings)

async function sitesNamed(names: readonly string[], settings: Settings) {
  const parts = new AsyncDisposableStack()
  const upstream = parts.use(await startUpstream())
  const folder = parts.use(await tempFolder())
  const sites: SidecarProcess[] = []
  for (const name of names) {
    const common = {
      QIS_UPSTREAM: upstream.url,
      QIS_DATA: join(folder.path, name),
      QIS_PROFILE: 'open',
      QIS_IMPLICIT: 'off',
    }
    sites.push(parts.use(await startSidecar({ ...common, ...settings(name, sites) })))
  }
  return { sites, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

suite('a site with few questions', () => {
  test('gets on its first what was said while its author was alone, and is advised on its second', async () => {
    await using swarm = await sitesNamed(['alone'], () => ({}))
    const [alone] = swarm.sites
    assert.ok(alone)
    const response = await chat(alone.data, QUESTION)
    await response.text()
    const request_id = response.headers.get('x-qis-request-id')
    await postFeedback(alone.data, { request_id, rating: 'down' })
    const left = async () => ((await (await fetch(`${alone.admin}/qis/ledger`)).json()) as { entries: [] }).entries
    await until('its packet to leave for nobody', async () => (await left()).length > 0, DEADLINE)

    await using others = await sitesNamed(['late'], () => ({ QIS_BOOTSTRAP: alone.addresses.join(',') }))
    const [late] = others.sites
    assert.ok(late)
    assert.equal(await confidence(late), null, 'nothing is known on the first question')
    const evidence = async () =>
      ((await (await fetch(`${late.admin}/qis/status`)).json()) as { evidence: number }).evidence
    await until('the packet', async () => (await evidence()) > 0, DEADLINE)
    assert.ok(Number(await confidence(late)) < 0.5, 'the second one is advised')
  })
})

suite('three processes', () => {
  test('find each other by mDNS', async t => {
    if (!(await hasMulticast())) return t.skip('this machine passes no multicast on')
    await using folder = await tempFolder()
    // a swarm of its own, so that no other on this network is met
    await writeSwarm(folder.path, { key: createSwarmKey(), members: undefined, bootstrap: [] })
    await using swarm = await threeSites(() => ({ QIS_MDNS: 'on', QIS_SWARM: folder.path }))
    await areASwarm(swarm.sites)
  })

  test('find each other by one address to start from, with mDNS off', async () => {
    await using swarm = await threeSites((_name, [first]) => ({
      QIS_MDNS: 'off',
      QIS_BOOTSTRAP: first?.addresses.join(',') ?? '',
    }))
    await areASwarm(swarm.sites)
  })
})
