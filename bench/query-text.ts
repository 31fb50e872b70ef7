/** Measures what finding the question in a request body costs, beside JSON.parse of the same body in the same run. */
import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { readQuery } from '../proxy/query-text.ts'
import { readArguments } from './arguments.ts'

const options = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const PATH = '/v1/chat/completions'
const QUESTION =
  'Which antibiotic is the first choice for a child of four years with otitis media, and for how many days? '
const SYSTEM = 'You are a careful assistant. Answer briefly and say what you are not sure of.'
const IMAGE_BYTES = 15 * 1024 * 1024
/** Rounds of both in turn; the best of each counts, as a shared machine only ever adds time. */
const ROUNDS = 15
const ROUND_MS = 20

interface Case {
  name: string
  body: Buffer
  /** Calls in a round, about `ROUND_MS` of them. */
  calls: number
}

interface Figures {
  bytes: number
  scan_us: number
  parse_us: number
  times_faster: number
}

/** A photograph as clients send it, with bytes that do not repeat. */
function image(): object {
  const bytes = Buffer.alloc(IMAGE_BYTES)
  let state = 1
  for (let i = 0; i < bytes.length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, i)
  }
  return { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${bytes.toString('base64')}` } }
}

function chat(content: unknown): Buffer {
  const messages = [
    { role: 'system', content: SYSTEM },
    { role: 'user', content },
  ]
  return Buffer.from(JSON.stringify({ model: 'llama3', messages, stream: true, temperature: 0.2, max_tokens: 512 }))
}

function conversation(bytes: number): Buffer {
  const messages: object[] = [{ role: 'system', content: SYSTEM }]
  for (let length = 0; length < bytes; length += 2 * QUESTION.length + 60) {
    messages.push({ role: 'user', content: QUESTION }, { role: 'assistant', content: `"${QUESTION}"\n` })
  }
  messages.push({ role: 'user', content: 'and in adults?' })
  return Buffer.from(JSON.stringify({ model: 'llama3', messages }))
}

/** Least time of one call, µs. */
function measure({ body }: Case, calls: number, call: (body: Buffer) => unknown): number {
  const start = performance.now()
  for (let i = 0; i < calls; i++) if (call(body) === undefined) throw new Error('nothing was found')
  return ((performance.now() - start) * 1000) / calls
}

const scan = (body: Buffer) => readQuery(PATH, body)
const parse = (body: Buffer): unknown => JSON.parse(body.toString('utf8'))

function run(subject: Case): Figures {
  const calls = (call: (body: Buffer) => unknown) =>
    Math.max(1, Math.round((ROUND_MS * 1000) / measure(subject, subject.calls, call)))
  const scans = calls(scan)
  const parses = calls(parse)
  let scanUs = Number.POSITIVE_INFINITY
  let parseUs = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    scanUs = Math.min(scanUs, measure(subject, scans, scan))
    parseUs = Math.min(parseUs, measure(subject, parses, parse))
  }
  return {
    bytes: subject.body.length,
    scan_us: round(scanUs),
    parse_us: round(parseUs),
    times_faster: round(parseUs / scanUs),
  }
}

/** Bytes on and off the heap that one call leaves behind for the collector. */
function allocated(body: Buffer, call: (body: Buffer) => unknown): number {
  collectGarbage()
  const before = process.memoryUsage()
  call(body)
  const after = process.memoryUsage()
  return after.heapUsed - before.heapUsed + after.external - before.external
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}

const picture = image()
const text = { type: 'text', text: QUESTION }
const cases: Case[] = [
  { name: '1kb', body: chat(QUESTION.repeat(8)), calls: 20_000 },
  { name: '220kb_prompt', body: chat(QUESTION.repeat(2050)), calls: 50 },
  { name: '220kb_conversation', body: conversation(220_000), calls: 50 },
  { name: '20mb_image_before', body: chat([picture, text]), calls: 3 },
  { name: '20mb_image_after', body: chat([text, picture]), calls: 3 },
]

const figures = Object.fromEntries(cases.map(subject => [subject.name, run(subject)]))
const largest = cases.at(-1)?.body ?? Buffer.alloc(0)
const kilobytes = round(allocated(largest, scan) / 1024)
const parseKilobytes = round(allocated(largest, parse) / 1024)

if (!options.json) {
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; best of ${ROUNDS} rounds`)
  console.table(figures)
  console.log(`memory taken by one 20 MB body: scan ${kilobytes} KB, parse ${parseKilobytes} KB`)
}
console.log(JSON.stringify({ ...figures, '20mb_scan_kb': kilobytes, '20mb_parse_kb': parseKilobytes }))
