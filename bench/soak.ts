/** What is left behind: memory over very many requests, and upstream requests after very many clients that vanish. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSidecar } from '../demo/sidecar-process.ts'
import { startUpstream } from '../test/support/upstream.ts'
import { readArguments } from './arguments.ts'
import { readQuestions } from './proxy/questions.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  requests: { type: 'string', default: '100000', help: 'for the memory that is left behind' },
  aborts: { type: 'string', default: '10000', help: 'clients that vanish' },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)
const CONNECTIONS = 32
const SAMPLES = 10

const folder = await mkdtemp(join(tmpdir(), 'qis-soak-'))
await using parts = new AsyncDisposableStack()
parts.defer(() => rm(folder, { recursive: true, force: true }))
const upstream = parts.use(await startUpstream({ keepBytes: 0 }))
const sidecar = parts.use(await startSidecar({ QIS_UPSTREAM: upstream.url, QIS_DATA: folder }))
const { hostname, port } = new URL(sidecar.data)
const question = readQuestions()
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

async function residentMb(): Promise<number> {
  const status = await readFile(`/proc/${sidecar.child.pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
}

function body(seed: number): string {
  return JSON.stringify({ model: 'm', messages: [{ role: 'user', content: question(seed, 200) }] })
}

async function ask(seed: number): Promise<void> {
  const asked = request({ hostname, port, agent, method: 'POST', path: '/v1/chat/completions' })
  asked.end(body(seed))
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
}

/** Runs `work` for each number below `count`, a few at a time. */
async function each(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) await work(next++)
    }),
  )
}

const total = Number(values.requests)
const memory: number[] = []
for (let sample = 0; sample < SAMPLES; sample++) {
  await each(total / SAMPLES, CONNECTIONS, index => ask(sample * total + index))
  memory.push(await residentMb())
  upstream.forget()
  say(`after ${((sample + 1) * total) / SAMPLES} requests: ${memory.at(-1)} MB`)
}

upstream.mode = 'stream-gated'
const before = await residentMb()
const delays: number[] = []
await each(Number(values.aborts), CONNECTIONS, async index => {
  const name = `vanishing-${index}`
  const socket = connect({ host: hostname, port: Number(port) })
  const text = body(index)
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-name: ${name}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
  await once(socket, 'data')
  const leftAt = performance.now()
  socket.destroy()
  const seen = upstream.requests.findLast(({ headers }) => headers['x-name'] === name)
  if (!seen) throw new Error('the upstream was not asked')
  await seen.closed
  delays.push((seen.abortedAt ?? Number.NaN) - leftAt)
})
delays.sort((a, b) => a - b)
const after = await residentMb()
console.log(
  JSON.stringify({
    requests: total,
    rss_mb: memory,
    rss_last_half_growth_mb: (memory.at(-1) ?? 0) - (memory[SAMPLES / 2 - 1] ?? 0),
    aborts: delays.length,
    upstream_closed_p99_ms: Number((delays[Math.floor(0.99 * (delays.length - 1))] ?? Number.NaN).toFixed(1)),
    rss_growth_after_aborts_mb: after - before,
    upstream_sockets_left: upstream.sockets.open,
  }),
)
agent.destroy()
