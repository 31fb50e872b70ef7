/** Sends marked requests to a real sidecar with a peer, brings it down, and searches all that it left behind. */
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gzipSync } from 'node:zlib'
import { readCapture } from '../../demo/leak-scan.ts'
import { type SidecarProcess, startSidecar } from '../../demo/sidecar-process.ts'
import type { ProfileName } from '../../router/disclosure.ts'
import { until } from '../support/poll.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { createMarkers, findMarkers, type Markers, type Trace } from './markers.ts'
import { adminPages, createTraffic, startMarkedModel } from './traffic.ts'

export interface CanaryOptions {
  /** At least so many are sent. */
  requests: number
  /** Requests at a time. */
  concurrency?: number
  keepCorrections?: boolean
  /** Of both sites; under all but `open` packets wait where the run ends, and are searched there. @default 'open' */
  profile?: ProfileName
  log?: (line: string) => void
}

export interface CanaryResult {
  requests: number
  markers: number
  /** Searched, by place. */
  bytes: Record<string, number>
  packets: number
  /** Markers where they may be, as `kind in place`. */
  allowed: Record<string, number>
  outside: (Trace & { place: string })[]
  /** Ways of writing in which a planted marker was found, of those in which one was planted. */
  planted: { found: number; of: number }
}

/**
 * What README.md and docs/feedback.md say may be kept or leave: under `open`, model, domain and strategy leave with packets as
 * clients write them, as their keys `mv`, `d` and `st`, and stand in metrics; else only the operator sees them. Ids, comments,
 * tags and names of scores stay in the deployment's own database.
 */
function mayStand(kind: string, place: string, { keepCorrections, profile }: Kept): boolean {
  const own = place === 'own database'
  if (kind === 'model' || kind === 'domain' || kind === 'strategy')
    return profile === 'open' ? !place.endsWith('log') && place !== 'crash output' : own || place === 'admin pages'
  if (kind === 'comment' || kind === 'tag' || kind === 'score name' || kind === 'completion id') return own
  return kind === 'correction' && own && keepCorrections
}

type Kept = Required<Pick<CanaryOptions, 'keepCorrections' | 'profile'>>

const MAX_BODY_BYTES = 100_000
const EVALUATOR = 'evaluator-of-the-canaries'

export async function runCanaries(options: CanaryOptions): Promise<CanaryResult> {
  const { concurrency = 16, keepCorrections = false, profile = 'open', log = () => undefined } = options
  await using parts = new AsyncDisposableStack()
  const folder = parts.use(await tempFolder()).path
  const markers = createMarkers()
  // What the peer's own clients say may stand in its own database.
  const othersMarkers = createMarkers('zqfremde')
  const models = {
    own: parts.use(await startMarkedModel(markers)),
    peer: parts.use(await startMarkedModel(othersMarkers)),
  }
  const start = async (name: keyof typeof models, settings: Record<string, string>) =>
    parts.use(
      await startSidecar({
        QIS_UPSTREAM: models[name].url,
        QIS_DATA: join(folder, name),
        QIS_CAPTURE: join(folder, `${name}.capture`),
        QIS_LOG_LEVEL: 'trace',
        // Under `open` everything leaves at once and in full detail: the worst case.
        QIS_PROFILE: profile,
        QIS_RATE_LIMIT: '0',
        QIS_EVALUATOR_TOKEN: EVALUATOR,
        QIS_KEEP_CORRECTIONS: keepCorrections ? 'on' : 'off',
        QIS_IMPLICIT: 'all',
        QIS_MAX_BODY_BYTES: String(MAX_BODY_BYTES),
        ...settings,
      }),
    )
  const crashing = `--import=${join(import.meta.dirname, 'crash-on-signal.ts')}`
  const reports = `--report-uncaught-exception --report-exclude-env --report-directory=${folder}`
  const own = await start('own', { NODE_OPTIONS: `${crashing} ${reports}` })
  const peer = await start('peer', { QIS_BOOTSTRAP: own.addresses.join(',') })

  const traffic = createTraffic(markers, { ...own, evaluatorToken: EVALUATOR, maxBodyBytes: MAX_BODY_BYTES })
  // So that both are interested in the same.
  const asks = createTraffic(othersMarkers, { ...peer, evaluatorToken: EVALUATOR, maxBodyBytes: MAX_BODY_BYTES }).slice(
    0,
    4,
  )
  for (const ask of [...asks, ...asks]) await ask()
  await traffic[0]?.()
  await until('the two to meet', async () => (await peersOf(own)) > 0)

  let [requests, turn] = [0, 0]
  const work = async () => {
    while (requests < options.requests) {
      const next = traffic[turn++ % traffic.length]
      requests += (await next?.()) ?? 0
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  log(`${requests} requests sent with ${markers.count} markers`)
  const leaving = () => (profile === 'open' ? sentBy(own) : waitingIn(join(folder, 'own/qis.db')).length)
  const packets = await until('packets to leave', leaving, { deadlineMs: 150_000, everyMs: 200 })
  const pages = await adminPages(own.admin)
  const peersPages = await adminPages(peer.admin)

  await crash(own, traffic)
  await peer[Symbol.asyncDispose]()
  const places = await collect(folder, { own, peer }, { pages, peersPages })
  return judge(places, markers, { requests, packets, keepCorrections, profile, log })
}

async function peersOf({ admin }: SidecarProcess): Promise<number> {
  return ((await (await fetch(`${admin}/qis/status`)).json()) as { peers: unknown[] }).peers.length
}

async function sentBy({ admin }: SidecarProcess): Promise<number> {
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  return Number(/qis_packets_sent_total\{result="taken"\} (\d+)/.exec(metrics)?.[1] ?? 0)
}

/** Packets that are to leave, or have left and reached nobody. */
function waitingIn(file: string): Buffer[] {
  using database = new DatabaseSync(file, { readOnly: true })
  return database
    .prepare('SELECT payload FROM outbox')
    .all()
    .map(({ payload }) => Buffer.from(`${payload}\n`))
}

/** In the middle of requests. */
async function crash({ child }: SidecarProcess, traffic: readonly (() => Promise<number>)[]): Promise<void> {
  const ended = child.exitCode === null ? once(child, 'close') : Promise.resolve()
  const running = traffic.slice(0, 24).map(one => one())
  child.kill('SIGUSR2')
  await ended
  await Promise.allSettled(running)
}

async function collect(
  folder: string,
  { own, peer }: { own: SidecarProcess; peer: SidecarProcess },
  { pages, peersPages }: { pages: readonly Buffer[]; peersPages: readonly Buffer[] },
): Promise<Map<string, Buffer>> {
  const files = async (path: string, wanted = (_name: string) => true) => {
    const entries = await readdir(path, { withFileTypes: true, recursive: true })
    const names = entries
      .filter(entry => entry.isFile() && wanted(entry.name))
      .map(entry => join(entry.parentPath, entry.name))
    return Buffer.concat(await Promise.all(names.map(name => readFile(name))))
  }
  const traffic = async (name: string) => {
    const { in: received, out } = await readCapture(join(folder, `${name}.capture`))
    return Buffer.concat([received, out])
  }
  const isReport = (name: string) => name.startsWith('report.')
  return new Map([
    ['own traffic', await traffic('own')],
    ["peer's traffic", await traffic('peer')],
    ['own database', Buffer.concat([await files(join(folder, 'own')), ...tables(join(folder, 'own/qis.db'))])],
    ["peer's database", Buffer.concat([await files(join(folder, 'peer')), ...tables(join(folder, 'peer/qis.db'))])],
    ['own log', Buffer.from(own.log.join('\n'))],
    ["peer's log", Buffer.from(peer.log.join('\n'))],
    ['metrics', pages[0] ?? Buffer.alloc(0)],
    ['admin pages', Buffer.concat(pages)],
    ["peer's pages", Buffer.concat(peersPages)],
    ['packets to leave', Buffer.concat(waitingIn(join(folder, 'own/qis.db')))],
    ['crash output', Buffer.concat([await files(folder, isReport), Buffer.from(own.log.slice(-20).join('\n'))])],
  ])
}

/** Every value, since a long one may be torn between pages of the file. */
function tables(file: string): Buffer[] {
  using database = new DatabaseSync(file, { readOnly: true })
  const names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()
  return names.flatMap(({ name }) =>
    database
      .prepare(`SELECT * FROM "${String(name)}"`)
      .all()
      .flatMap(Object.values)
      .map(value => (value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(`${value}\n`))),
  )
}

function judge(
  places: ReadonlyMap<string, Buffer>,
  markers: Markers,
  { requests, packets, log, ...kept }: { requests: number; packets: number; log: (line: string) => void } & Kept,
): CanaryResult {
  const allowed: Record<string, number> = {}
  const outside: (Trace & { place: string })[] = []
  for (const [place, bytes] of places) {
    for (const trace of findMarkers(bytes, markers)) {
      if (mayStand(trace.kind, place, kept)) {
        const where = `${trace.kind} in ${place}`
        allowed[where] = (allowed[where] ?? 0) + 1
      } else outside.push({ ...trace, place })
    }
    log(`${place}: ${bytes.length} bytes searched`)
  }
  return {
    requests,
    markers: markers.count,
    bytes: Object.fromEntries([...places].map(([place, bytes]) => [place, bytes.length])),
    packets,
    allowed,
    outside,
    planted: plant(places, markers),
  }
}

/** The same search must find a marker that was put into the same bytes, however it is written there. */
function plant(places: ReadonlyMap<string, Buffer>, markers: Markers): { found: number; of: number } {
  const bytes = places.get('own traffic') ?? Buffer.alloc(0)
  const half = bytes.length >> 1
  const ways: ((marker: string) => Buffer | string)[] = [
    marker => marker,
    marker => marker.toUpperCase(),
    marker => marker.slice(8),
    marker => Buffer.from(marker, 'utf16le'),
    marker => Buffer.from(marker, 'utf16le').swap16(),
    marker => Buffer.from(marker).toString('hex'),
    marker => Buffer.from(`a${marker}b`).toString('base64'),
    marker => Buffer.from(`aa${marker}`).toString('base64url'),
    marker => gzipSync(`some text and ${marker}`),
    marker => Buffer.from(marker).toString('hex').replace(/../g, '%$&'),
    marker => JSON.stringify(Buffer.from(marker)),
  ]
  const found = ways.filter(way => {
    const kind = 'planted'
    const written = way(markers.make(kind))
    const planted = Buffer.concat([bytes.subarray(0, half), Buffer.from(written), bytes.subarray(half)])
    return findMarkers(planted, markers).some(trace => trace.kind === kind || trace.kind === 'unknown')
  })
  return { found: found.length, of: ways.length }
}
