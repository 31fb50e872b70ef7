/** Requests to our own endpoints, made from their description, right, nearly right and wrong; each answer is held to what we promise. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { type ErrorCode, errorCodes } from '../../proxy/errors.ts'
import { answering, ask } from '../support/asking.ts'
import { startTestSidecar } from '../support/sidecar.ts'
import type { Dice } from './dice.ts'
import type { Target } from './target.ts'

interface HttpInput {
  method: string
  /** Without the origin. */
  path: string
  admin: boolean
  headers: Record<string, string>
  body: string | undefined
}

type Schema = Readonly<Record<string, unknown>>
interface Operation {
  method: string
  path: string
  admin: boolean
  parameters: { name: string; in: string; schema: Schema }[]
  body: Schema | undefined
}
interface Document {
  paths: Record<string, Record<string, Described>>
}
interface Described {
  parameters?: { name: string; in: string; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  servers: { url: string }[]
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'HEAD', 'TRACE'] as const
const ODD_TEXTS = [
  '',
  ' ',
  '\0',
  '\u2028',
  '𝄞',
  'é',
  '__proto__',
  'constructor',
  '{{7*7}}',
  '../../etc/passwd',
  '%00',
  "' OR 1=1 --",
  '<script>',
  'NaN',
  'null',
  '-0',
  'a'.repeat(300),
  'a'.repeat(20_001),
  '\ud800',
  'qis-',
  '$ID',
  '*',
  '%',
  '2026-01-31T12:00:00Z',
] as const
const ODD_VALUES: readonly [unknown, ...unknown[]] = [
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.5,
  1e308,
  1e-320,
  2 ** 63,
  [],
  {},
  [[]],
  { a: {} },
  '',
  [null],
  { length: -1 },
  { toString: 1 },
  [1, 2, 3],
  { type: 'factual' },
  { text: 7 },
]
const ODD_BODIES = [
  '',
  ' ',
  '{',
  '[',
  '"',
  'null',
  '0',
  'NaN',
  '[]',
  '{}',
  '[[]]',
  '{"a":1,"a":2}',
  '{"__proto__":{"x":1}}',
  `${'['.repeat(5_000)}`,
  '\ufeff{}',
] as const
const HEADERS: readonly [[string, string], ...[string, string][]] = [
  ['content-type', 'text/plain'],
  ['content-type', ';;='],
  ['content-encoding', 'gzip'],
  ['origin', 'null'],
  ['origin', 'http://localhost'],
  ['idempotency-key', 'k'],
  ['idempotency-key', 'x'.repeat(300)],
  ['x-qis-receipt', 'A'.repeat(200)],
  ['authorization', 'Bearer x'],
  ['authorization', 'Bearer judge'],
  ['accept', 'text/html'],
  ['if-none-match', '*'],
  ['range', 'bytes=0-'],
  ['expect', '100-continue'],
  ['host', 'evil.example'],
  ['access-control-request-method', 'POST'],
  ['x-http-method-override', 'DELETE'],
  ['te', 'trailers'],
]
const SLOW_MS = 5_000

export async function httpTarget(): Promise<Target<HttpInput>> {
  await using parts = new AsyncDisposableStack()
  const upstream = parts.use(await answering())
  const sidecar = parts.use(await startTestSidecar(upstream.url, { QIS_RATE_LIMIT: '0', QIS_EVALUATOR_TOKEN: 'judge' }))
  const { requestId, receipt, completionId } = await ask(sidecar)
  const known: Record<string, string> = { request_id: requestId, receipt, completion_id: completionId }
  const document = (await (await fetch(`${sidecar.admin}/qis/openapi.json`)).json()) as Document
  const operations = operationsOf(document, sidecar.admin)
  const kept = parts.move()

  return {
    make(dice) {
      const operation = dice.pick(operations)
      const { method, admin } = operation
      const query = new URLSearchParams()
      for (const { name, in: where, schema } of operation.parameters) {
        if (where === 'query' && dice.oneIn(3)) query.append(name, plain(valueFor(schema, dice)))
      }
      if (dice.oneIn(8)) query.append(dice.pick(ODD_TEXTS), dice.pick(ODD_TEXTS))
      const path = operation.path.replace(/\{\w+\}/g, () => encodeURIComponent(wellFormed(dice.pick(ODD_TEXTS))) || 'x')
      const body = operation.body ? bodyOf(operation.body, dice, known) : undefined
      return {
        method: dice.oneIn(12) ? dice.pick(METHODS) : method,
        path: dice.oneIn(15)
          ? `/${altered(path, dice).replace(/^\/+/, '')}`
          : path + (query.size > 0 ? `?${query}` : ''),
        admin: dice.oneIn(15) ? !admin : admin,
        headers: dice.oneIn(4) ? Object.fromEntries([dice.pick(HEADERS), dice.pick(HEADERS)]) : {},
        body: dice.oneIn(20) ? dice.pick(ODD_BODIES) : body,
      }
    },
    async examine({ method, path, admin, headers, body }) {
      const sent = request((admin ? sidecar.admin : sidecar.data) + path, { agent: false, method, headers })
      const begun = performance.now()
      // To the end, though the answer may be there first.
      sent
        .on('error', () => undefined)
        .end(method === 'TRACE' || method === 'GET' || method === 'HEAD' ? undefined : body)
      const [answer] = (await once(sent, 'response', { signal: AbortSignal.timeout(SLOW_MS) })) as [IncomingMessage]
      const told = await text(answer)
      return faultOf(answer, told, { path, method, admin, ms: performance.now() - begun })
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function operationsOf({ paths }: Document, admin: string): [Operation, ...Operation[]] {
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, servers }]) => ({
      method: method.toUpperCase(),
      path,
      admin: servers[0]?.url === admin,
      parameters,
      body: requestBody?.content['application/json']?.schema,
    })),
  )
  const [first, ...rest] = all
  if (!first) throw new Error('nothing is described')
  return [first, ...rest]
}

/** What every answer of ours must be, whatever was asked. */
function faultOf(
  { statusCode = 0, headers }: IncomingMessage,
  told: string,
  { path, method, admin, ms }: { path: string; method: string; admin: boolean; ms: number },
): string | undefined {
  const ours = admin || /^\/(?:qis\/|v1\/feedback(?:\?|$))/.test(path)
  if (!ours) return statusCode >= 500 && statusCode !== 502 ? `a proxied request ended with ${statusCode}` : undefined
  if (ms > SLOW_MS) return `it took ${ms} ms`
  if (statusCode >= 500) return `${statusCode}: ${told.slice(0, 200)}`
  if (statusCode < 400 || method === 'HEAD' || told === '') return undefined
  const isForwarded = !admin && method !== 'POST' && path.startsWith('/v1/feedback')
  if (isForwarded) return undefined
  if (headers['x-content-type-options'] !== 'nosniff') return 'browsers may guess its type'
  if (!headers['content-type']?.startsWith('application/json')) return `an error as ${headers['content-type']}`
  const { error } = JSON.parse(told) as {
    error?: { code?: string; message?: unknown; type?: unknown; param?: unknown }
  }
  if (error?.code === undefined || !Object.hasOwn(errorCodes, error.code))
    return `an unknown error: ${told.slice(0, 200)}`
  if (errorCodes[error.code as ErrorCode] !== statusCode) return `${error.code} with ${statusCode}`
  if (typeof error.message !== 'string' || typeof error.type !== 'string') return 'an error without words'
  return told.includes('    at ') || told.includes('node:') ? `it shows its insides: ${told.slice(0, 200)}` : undefined
}

function bodyOf(schema: Schema, dice: Dice, known: Readonly<Record<string, string>>): string {
  // A copy, since odd values are everybody's.
  const value = structuredClone(valueFor(schema, dice))
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const body = value as Record<string, unknown>
    // Now and then an answer that there is, so that more than the refusal is tried.
    const [name, id] = dice.pick(Object.entries(known) as [[string, string], ...[string, string][]])
    if (dice.oneIn(2)) {
      for (const other of Object.keys(known)) delete body[other]
      body[name] = id
    }
    if (dice.oneIn(6)) body[dice.pick(ODD_TEXTS)] = dice.pick(ODD_VALUES)
  }
  const written = JSON.stringify(value)
  return dice.oneIn(25) ? altered(written, dice) : written
}

/** Of the kind that is described, or, one time in five, of some other. */
function valueFor(schema: Schema, dice: Dice, depth = 0): unknown {
  if (dice.oneIn(5) || depth > 4) return dice.pick([...ODD_VALUES, ...ODD_TEXTS] as [unknown, ...unknown[]])
  const {
    type,
    enum: choices,
    oneOf,
    properties,
    items,
    minimum = 0,
    maximum = 1e9,
  } = schema as {
    type?: string | string[]
    enum?: [unknown, ...unknown[]]
    oneOf?: [Schema, ...Schema[]]
    properties?: Record<string, Schema>
    items?: Schema
    minimum?: number
    maximum?: number
  }
  if (choices) return dice.pick(choices)
  if (oneOf && !properties) return valueFor(dice.pick(oneOf), dice, depth + 1)
  switch ([type].flat()[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries(properties ?? {})
          .filter(() => dice.oneIn(3))
          .map(([name, each]) => [name, valueFor(each, dice, depth + 1)]),
      )
    case 'array':
      return Array.from({ length: dice.below(4) }, () => valueFor(items ?? {}, dice, depth + 1))
    case 'integer':
      return Number(minimum) + dice.below(Math.min(Number(maximum), 1_000) - Number(minimum) + 1)
    case 'number':
      return dice.below(1_001) / 1_000
    default:
      return dice.pick([...ODD_TEXTS, 'some words', 'qis-1', 'chatcmpl-1'] as [string, ...string[]])
  }
}

function altered(text: string, dice: Dice): string {
  const at = dice.below(text.length + 1)
  const inserted = dice.pick([
    '',
    '%',
    '"',
    '}',
    ',',
    '/',
    '\\u0000',
    '?',
    ';',
    '//',
    '.',
    '..',
    '%2f',
    '%zz',
    '0',
  ] as const)
  return text.slice(0, at) + inserted + text.slice(at + dice.below(3))
}

function plain(value: unknown): string {
  return typeof value === 'string' ? wellFormed(value) : String(JSON.stringify(value))
}

function wellFormed(text: string): string {
  return text.toWellFormed()
}
