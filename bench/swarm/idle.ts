/** What a node costs that has nothing to do: a whole sidecar, and a bare node, each alone in its process. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { startUpstream } from '../../test/support/upstream.ts'

export interface IdleFigures {
  rssMb: number
  /** Of one core. */
  cpuPct: number
  /** Anonymous memory: what no other process on the machine shares. */
  ownMb: number
}

/** Clock ticks a second; Linux has said 100 to programs since it existed. */
const TICKS_PER_S = 100
const WARM_MS = 10_000

/** A sidecar that is connected to the swarm and that nobody asks anything. */
export async function measureIdleSidecar(bootstrap: readonly string[], seconds: number): Promise<IdleFigures> {
  await using parts = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'qis-idle-'))
  parts.defer(() => rm(folder, { recursive: true, force: true }))
  const upstream = parts.use(await startUpstream({ keepBytes: 0 }))
  const settings = { QIS_UPSTREAM: upstream.url, QIS_DATA: folder, QIS_BOOTSTRAP: bootstrap.join(',') }
  // What the first start of a checkout has compiled is kept for the others, which are the usual ones.
  await (await startSidecar(settings))[Symbol.asyncDispose]()
  const sidecar = parts.use(await startSidecar(settings))
  return await watch(sidecar.child.pid ?? 0, seconds)
}

/** @param pid of a process that does nothing but run the node */
export async function watch(pid: number, seconds: number): Promise<IdleFigures> {
  await wait(Math.min(WARM_MS, 1000 * seconds))
  const [before, begun] = [ticksOf(pid), performance.now()]
  await wait(1000 * seconds)
  const cpuS = (ticksOf(pid) - before) / TICKS_PER_S
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mbOf = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
  return { rssMb: mbOf('VmRSS'), ownMb: mbOf('RssAnon'), cpuPct: (100_000 * cpuS) / (performance.now() - begun) }
}

/** User and system time of a process. */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // the command's name comes first and may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
