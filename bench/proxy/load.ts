/** Sends requests as fast as they are answered, over raw sockets, and measures; a process of its own for each run. */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { type MakeQuestion, readQuestions } from './questions.ts'

export interface LoadOptions {
  url: string
  connections: number
  seconds: number
  /** Runs first, unmeasured. */
  warmUpSeconds: number
  /** Bytes of a request body, roughly. */
  bodyBytes: number
  /** Whether each question is one that was never asked before. */
  distinct: boolean
  stream: boolean
  /** Folder of texts to ask; made up when there is none. */
  corpus?: string | undefined
  /** Further header lines. */
  headers?: Record<string, string>
}

export interface LoadResult {
  rps: number
  p50Us: number
  p99Us: number
  /** Until the first byte of the body, streams only. */
  firstByteP50Us: number
  errors: number
}

function requestBytes(options: LoadOptions, question: MakeQuestion, seed: number): Buffer {
  const { url, bodyBytes, stream, headers = {} } = options
  // A system prompt makes most of a long body, as it does in life; the question itself is 200 characters.
  const system = question(1, Math.max(0, bodyBytes - 400))
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: question(seed, 200) },
  ]
  const body = Buffer.from(JSON.stringify({ model: 'm', ...(stream && { stream }), messages }))
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: ${new URL(url).host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${more.join('')}\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

/** Follows one connection's answers: where the body begins and where it ends. */
function createReader(onBody: () => void, onEnd: (status: number) => void) {
  let head = ''
  let status = 0
  let left: number | undefined
  let tail = ''
  let inBody = false
  return (chunk: Buffer) => {
    let rest = chunk
    if (!inBody) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      status = Number(head.slice(9, 12))
      const length = /\r\ncontent-length: (\d+)/i.exec(head.slice(0, end))?.[1]
      left = length === undefined ? undefined : Number(length)
      rest = Buffer.from(head.slice(end + 4), 'latin1')
      inBody = true
      if (rest.length === 0 && left !== 0) return
    }
    if (rest.length > 0) onBody()
    if (left !== undefined) left -= rest.length
    else tail = (tail + rest.subarray(-5).toString('latin1')).slice(-5)
    if (left === 0 || (left === undefined && tail === '0\r\n\r\n')) {
      head = ''
      tail = ''
      inBody = false
      onEnd(status)
    }
  }
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const { hostname, port } = new URL(options.url)
  const startAt = performance.now() + options.warmUpSeconds * 1000
  const endAt = startAt + options.seconds * 1000
  const latencies: number[] = []
  const firstBytes: number[] = []
  let errors = 0
  let seed = Date.now() % 1_000_000_000
  const question = readQuestions(options.corpus)
  const repeated = requestBytes(options, question, 7)

  const work = async () => {
    const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const done = Promise.withResolvers<void>()
    let sentAt = 0
    let firstAt = 0
    const send = () => {
      if (performance.now() >= endAt) return socket.end()
      // Making the body is no part of what is measured.
      const bytes = options.distinct ? requestBytes(options, question, ++seed) : repeated
      sentAt = performance.now()
      firstAt = 0
      socket.write(bytes)
    }
    const read = createReader(
      () => {
        firstAt ||= performance.now()
      },
      status => {
        const now = performance.now()
        if (status !== 200) errors++
        else if (sentAt >= startAt && now <= endAt) {
          latencies.push(now - sentAt)
          firstBytes.push(firstAt - sentAt)
        }
        send()
      },
    )
    socket.on('data', read).on('connect', send)
    socket.on('error', () => errors++)
    socket.on('close', () => done.resolve())
    await done.promise
  }
  await Promise.all(Array.from({ length: options.connections }, work))
  return {
    rps: latencies.length / options.seconds,
    p50Us: quantile(latencies, 0.5),
    p99Us: quantile(latencies, 0.99),
    firstByteP50Us: quantile(firstBytes, 0.5),
    errors,
  }
}

function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b)
  return Math.round((values[Math.floor(q * (values.length - 1))] ?? Number.NaN) * 1000)
}

if (import.meta.main) console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '{}'))))
