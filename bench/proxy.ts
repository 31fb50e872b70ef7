/** What the proxy costs: direct, bare reply-from, ours, nginx and Portkey on one upstream, in one run, taking turns. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startSidecar } from '../demo/sidecar-process.ts'
import { until } from '../test/support/poll.ts'
import { readArguments } from './arguments.ts'
import { fill } from './proxy/fill.ts'
import type { LoadOptions, LoadResult } from './proxy/load.ts'
import { readQuestions } from './proxy/questions.ts'
import { ANSWER, EVENTS } from './proxy/upstream.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  seconds: { type: 'string', default: '3', help: 'of each measurement' },
  rounds: { type: 'string', default: '3', help: 'of all measurements' },
  packets: { type: 'string', default: '100000', help: 'live ones in the store' },
  corpus: { type: 'string', help: 'a folder of .txt files, a question a line; made-up ones without it' },
  rest: { type: 'string', default: '0', help: 'seconds without a question at the end; memory comes back after 100' },
  portkey: { type: 'string', help: "the folder of Portkey's gateway; left out without it" },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)

interface Target {
  name: string
  url: string
  headers?: Record<string, string>
  pid?: number
}
interface Shape extends Pick<LoadOptions, 'connections' | 'bodyBytes' | 'distinct' | 'stream'> {
  name: string
}

const shapes: Shape[] = [
  ...[1, 16, 64].flatMap(connections =>
    [false, true].map(distinct => ({
      name: `1KB-${distinct ? 'distinct' : 'repeated'}-c${connections}`,
      connections,
      bodyBytes: 1_000,
      distinct,
      stream: false,
    })),
  ),
  { name: '220KB-repeated-c16', connections: 16, bodyBytes: 220_000, distinct: false, stream: false },
  { name: 'stream-c1', connections: 1, bodyBytes: 1_000, distinct: false, stream: true },
  { name: 'stream-c16', connections: 16, bodyBytes: 1_000, distinct: false, stream: true },
]

await using parts = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'qis-bench-'))
parts.defer(() => rm(folder, { recursive: true, force: true }))

function keep(child: ChildProcess): ChildProcess {
  parts.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  })
  return child
}

/** Starts a script that prints its URL. */
async function startScript(script: string, ...args: string[]): Promise<{ url: string; pid: number }> {
  const path = join(import.meta.dirname, 'proxy', script)
  const child = keep(spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }))
  if (!child.stdout) throw new Error(`${script} has no output`)
  const [url] = await once(createInterface({ input: child.stdout }), 'line')
  return { url: String(url), pid: child.pid ?? 0 }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return address !== null && typeof address === 'object' ? address.port : 0
}

const hasNginx = spawnSync('nginx', ['-v']).error === undefined

async function startNginx(name: string, location: string, extra = ''): Promise<string> {
  const port = await freePort()
  const config = join(folder, `${name}.conf`)
  await writeFile(
    config,
    `daemon off; pid ${folder}/${name}.pid; error_log stderr crit; worker_processes 1;
     events { worker_connections 1024; }
     http { access_log off; keepalive_requests 1000000; client_max_body_size 0; client_body_buffer_size 1m;
       client_body_temp_path ${folder}/${name}-body; proxy_temp_path ${folder}/${name}-proxy;
       fastcgi_temp_path ${folder}/${name}-f; uwsgi_temp_path ${folder}/${name}-u; scgi_temp_path ${folder}/${name}-s;
       ${extra}
       server { listen 127.0.0.1:${port}; location / { ${location} } } }`,
  )
  keep(spawn('nginx', ['-c', config, '-p', folder], { stdio: 'ignore' }))
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; tries < 100; tries++) {
    if (await fetch(url).catch(() => undefined)) break
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return url
}

async function load(target: Target, shape: Shape): Promise<LoadResult> {
  const options: LoadOptions = {
    ...shape,
    url: target.url,
    seconds: Number(values.seconds),
    warmUpSeconds: 1,
    corpus: values.corpus,
    ...(target.headers && { headers: target.headers }),
  }
  const script = join(import.meta.dirname, 'proxy/load.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(options)])
  return JSON.parse(stdout) as LoadResult
}

async function statusOf(admin: string): Promise<{ networkUp: boolean }> {
  return (await fetch(`${admin}/qis/status`)).json() as Promise<{ networkUp: boolean }>
}

/** Resident memory of a process, MB. */
async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
}

const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

// --- the upstreams and what stands before them

const node = await startScript('upstream.ts')
const plain = hasNginx
  ? await startNginx('upstream', `default_type application/json; return 200 '${ANSWER}';`)
  : node.url

async function targetsBefore(upstream: string): Promise<Target[]> {
  const targets: Target[] = [
    { name: 'direct', url: upstream },
    { name: 'bare', ...(await startScript('bare.ts', upstream)) },
  ]
  const dataDir = await mkdtemp(join(folder, 'data-'))
  say(`filling a store with ${values.packets} packets ...`)
  await fill(dataDir, Number(values.packets), 500, readQuestions(values.corpus))
  const ours = await startSidecar({ QIS_UPSTREAM: upstream, QIS_DATA: dataDir, QIS_LOG_LEVEL: 'info' })
  parts.use(ours)
  // The store is read while questions are answered; the network comes up when that is done.
  await until('the store to be read', async () => (await statusOf(ours.admin)).networkUp, {
    deadlineMs: 120_000,
    everyMs: 200,
  })
  targets.push({ name: 'ours', url: ours.data, pid: ours.child.pid ?? 0 })
  if (hasNginx) {
    const { host } = new URL(upstream)
    const proxied = 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;'
    targets.push({
      name: 'nginx',
      url: await startNginx(
        `proxy-${targets.length}-${new URL(upstream).port}`,
        proxied,
        `upstream up { server ${host}; keepalive 64; }`,
      ),
    })
  }
  if (values.portkey) {
    const port = await freePort()
    keep(
      spawn(process.execPath, [join(values.portkey, 'build/start-server.js'), `--port=${port}`], { stdio: 'ignore' }),
    )
    await new Promise(resolve => setTimeout(resolve, 3_000))
    const headers = {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstream}/v1`,
      authorization: 'Bearer x',
    }
    targets.push({ name: 'portkey', url: `http://127.0.0.1:${port}`, headers })
  }
  return targets
}

const forPlain = await targetsBefore(plain)
const forStreams = plain === node.url ? forPlain : await targetsBefore(node.url)

// --- the runs

const oursPid = forPlain.find(({ name }) => name === 'ours')?.pid ?? 0
const rssBefore = await residentMb(oursPid)
const results = new Map<string, LoadResult[]>()
for (let round = 0; round < Number(values.rounds); round++) {
  for (const shape of shapes) {
    // In turns, so that a slow minute of the machine is everyone's.
    for (const target of shape.stream ? forStreams : forPlain) {
      const key = `${shape.name}/${target.name}`
      const result = await load(target, shape)
      results.set(key, [...(results.get(key) ?? []), result])
      if (result.errors > 0) say(`${key}: ${result.errors} errors`)
    }
  }
}
const rssAfter = await residentMb(oursPid)
if (Number(values.rest) > 0) await wait(1000 * Number(values.rest))
const rssRested = await residentMb(oursPid)

function of(shape: string, target: string, figure: keyof LoadResult): number | null {
  const runs = results.get(`${shape}/${target}`)
  return runs ? median(runs.map(run => run[figure])) : null
}
const minus = (a: number | null, b: number | null) => (a === null || b === null ? null : Math.round(a - b))
const ratio = (a: number | null, b: number | null) => (a === null || b === null ? null : Number((a / b).toFixed(3)))

say(`\n${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, upstream ${hasNginx ? 'nginx' : 'node'}`)
say(
  `${'shape'.padEnd(20)} ${'target'.padEnd(8)} ${'req/s'.padStart(9)} ${'p50 us'.padStart(9)} ${'p99 us'.padStart(9)} ${'first us'.padStart(9)}`,
)
for (const shape of shapes) {
  for (const { name } of forPlain) {
    const cells = (['rps', 'p50Us', 'p99Us', 'firstByteP50Us'] as const).map(figure =>
      Math.round(of(shape.name, name, figure) ?? Number.NaN),
    )
    say(`${shape.name.padEnd(20)} ${name.padEnd(8)} ${cells.map(cell => String(cell).padStart(9)).join(' ')}`)
  }
}

const names = ['direct', 'bare', 'ours', 'nginx', 'portkey']
const summary = (shape: string) => ({
  ours_vs_bare: ratio(of(shape, 'ours', 'rps'), of(shape, 'bare', 'rps')),
  added_p50_us: minus(of(shape.replace('c16', 'c1'), 'ours', 'p50Us'), of(shape.replace('c16', 'c1'), 'bare', 'p50Us')),
})
const eventCost = (target: string) => {
  const whole = of('stream-c1', target, 'p50Us')
  const first = of('stream-c1', target, 'firstByteP50Us')
  return whole === null || first === null ? null : (whole - first) / EVENTS
}
console.log(
  JSON.stringify({
    rps: Object.fromEntries(names.map(name => [name, of('1KB-repeated-c16', name, 'rps')])),
    ...summary('1KB-repeated-c16'),
    distinct: summary('1KB-distinct-c16'),
    large_ours_vs_bare: ratio(of('220KB-repeated-c16', 'ours', 'rps'), of('220KB-repeated-c16', 'bare', 'rps')),
    stream_first_byte_added_us: minus(
      of('stream-c1', 'ours', 'firstByteP50Us'),
      of('stream-c1', 'direct', 'firstByteP50Us'),
    ),
    stream_event_added_us: Number(((eventCost('ours') ?? Number.NaN) - (eventCost('bare') ?? Number.NaN)).toFixed(2)),
    rss_mb: rssAfter,
    rss_mb_before: rssBefore,
    rss_mb_rested: rssRested,
    packets: Number(values.packets),
  }),
)
