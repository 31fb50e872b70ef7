/**
 * Whether a flood of packets from hostile peers is felt by those who ask questions: the proxy's latency under it, against
 * the same flood at a bare TCP server beside the same proxy, taking turns. And whether anything invalid gets in.
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'undici'
import { startSidecar } from '../demo/sidecar-process.ts'
import { routingKey, toTopic } from '../router/keyspace.ts'
import { readArguments } from './arguments.ts'
import type { FloodOrder } from './flood/hostile.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  seconds: { type: 'string', default: '60', help: 'of each phase; a minute for figures that are reported' },
  rounds: { type: 'string', default: '3', help: 'of all phases' },
  'packets-per-second': { type: 'string', default: '10000', help: 'of the flood' },
  'requests-per-second': {
    type: 'string',
    default: '100',
    help: 'at the proxy, evenly spaced, whatever the answers do',
  },
  thread: { type: 'string', default: 'off', help: 'on, to see what a thread of its own is good for, or off' },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)
const seconds = Number(values.seconds)
const packetsPerSecond = Number(values['packets-per-second'])
const requestsPerSecond = Number(values['requests-per-second'])

await using parts = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'qis-flood-'))
parts.defer(() => rm(folder, { recursive: true, force: true }))

async function startScript(path: string): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, path)], { stdio: ['ignore', 'pipe', 'inherit'] })
  parts.defer(() => void child.kill('SIGTERM'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return String(line)
}

const upstream = await startScript('proxy/upstream.ts')
const sinkPort = Number(await startScript('flood/sink.ts'))
const sidecar = parts.use(
  await startSidecar({
    QIS_UPSTREAM: upstream,
    QIS_DATA: folder,
    QIS_PROFILE: 'open',
    QIS_IMPLICIT: 'off',
    QIS_P2P_THREAD: values.thread,
  }),
)
const pool = new Pool(sidecar.data, { connections: 32 })
parts.defer(() => pool.close())

const QUESTIONS = ['How do I cancel my train ticket?', 'What is the capital of Portugal?', 'Reverse a linked list.']

async function ask(index: number): Promise<Record<string, unknown>> {
  const question = QUESTIONS[index % QUESTIONS.length]
  const { headers, body } = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', 'x-qis-debug': '1' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: question }] }),
  })
  await body.dump()
  return headers
}

/** Milliseconds from when each request was due until its answer was there, sorted. */
async function measure(forS: number): Promise<number[]> {
  const latencies: number[] = []
  const began = performance.now()
  const count = forS * requestsPerSecond
  const answers: Promise<void>[] = []
  for (let index = 0; index < count; index += 1) {
    const due = began + (index * 1_000) / requestsPerSecond
    const wait = due - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
    answers.push(ask(index).then(() => void latencies.push(performance.now() - due)))
  }
  await Promise.all(answers)
  return latencies.sort((a, b) => a - b)
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const median = (numbers: number[]) =>
  quantile(
    numbers.toSorted((a, b) => a - b),
    0.5,
  )
const round = (ms: number) => Math.round(ms * 100) / 100

async function status(): Promise<{ space: { id: string }; evidence: number; peers: string[] }> {
  return (await (await fetch(`${sidecar.admin}/qis/status`)).json()) as never
}

async function events(): Promise<Record<string, number>> {
  const text = await (await fetch(`${sidecar.admin}/metrics`)).text()
  const lines = text.matchAll(/^qis_(?:network_events|packets_received)_total\{\w+="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, reason, count]) => [reason, Number(count)]))
}

/** Seconds of processor that the thread which serves requests has had; true also where others share the cores. */
async function mainThreadS(): Promise<number> {
  const { pid } = sidecar.child
  const stat = await readFile(`/proc/${pid}/task/${pid}/stat`, 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return (Number(user) + Number(system)) / 100
}

const cell = String((await ask(0))['x-qis-cell'])
const space = (await status()).space.id
const topic = toTopic(routingKey(space, 'general', Number.parseInt(cell, 16)))

/** Latencies while the flood lasts, and how much of it was let out. */
async function under(kind: FloodOrder['kind'], target: FloodOrder['target']) {
  const child = fork(join(import.meta.dirname, 'flood/hostile.ts'))
  const order: FloodOrder = { target, kind, topic, space, cell, seconds: seconds + 4, packetsPerSecond }
  const result = once(child, 'message') as Promise<[{ offered: number; sent: number }]>
  child.send(order)
  // until packets are made and connections are open
  await measure(2)
  const before = await mainThreadS()
  const latencies = await measure(seconds)
  const mainPct = ((await mainThreadS()) - before) * (100 / seconds)
  const [{ sent }] = await result
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), sent, mainPct }
}

await measure(3)
const address = sidecar.addresses[0] ?? ''
const figures: Record<string, number[]> = { sink: [], invalid: [], valid: [] }
const shares: Record<string, number[]> = { sink: [], invalid: [], valid: [] }
let accepted = 0
for (let turn = 0; turn < Number(values.rounds); turn += 1) {
  const phases = [
    ['sink', 'invalid', sinkPort],
    ['invalid', 'invalid', address],
    ['valid', 'valid', address],
  ] as const
  for (const [name, kind, target] of phases) {
    const before = (await status()).evidence
    const { p50, p99, sent, mainPct } = await under(kind, target)
    figures[name]?.push(p99)
    shares[name]?.push(mainPct)
    if (name === 'invalid') accepted += (await status()).evidence - before
    say(`${name}: p50 ${round(p50)} ms, p99 ${round(p99)} ms, main thread ${round(mainPct)} %, ${sent} packets written`)
  }
}
const counted = await events()
say(JSON.stringify(counted))

const p99 = (name: string) => round(median(figures[name] ?? []))
const rise = round(p99('invalid') - p99('sink'))
console.log(
  JSON.stringify({
    packets_per_second: packetsPerSecond,
    seconds,
    thread: values.thread,
    p99_sink_ms: p99('sink'),
    p99_flood_ms: p99('invalid'),
    p99_valid_flood_ms: p99('valid'),
    rise_ms: rise,
    rise_pct: Math.round((rise / p99('sink')) * 1_000) / 10,
    main_thread_sink_pct: round(median(shares.sink ?? [])),
    main_thread_flood_pct: round(median(shares.invalid ?? [])),
    main_thread_valid_flood_pct: round(median(shares.valid ?? [])),
    invalid_accepted: accepted,
    shunned: counted.peer_shunned ?? 0,
    slowed: counted.peer_slowed ?? 0,
  }),
)
