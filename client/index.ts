/** `qis-sidecar/client`: what an application does with the sidecar beside its usual client. No dependencies; runs in browsers too. */

export type Evidence = 'none' | 'low' | 'moderate' | 'high'

/** What the `x-qis-*` headers of an answer say. */
export interface Insight {
  requestId: string
  /** Lets whoever holds it give feedback on this answer, and nothing else. */
  receipt?: string
  /** How much is known about such questions. `none`: nothing, and then there is no confidence either. */
  evidence: Evidence
  /** What is expected of this answer, 0 to 1. */
  confidence?: number
  /** How much of that the other deployments changed, -0.3 to 0.3. */
  adjustment?: number
  /** Of the headers themselves. */
  version: string
  /** Which model was chosen, for requests that left the choice to the sidecar. */
  model?: string
  /** For which kind of correction the prompt was refined. */
  refined?: string
  /** Only of requests with `x-qis-debug: 1`. */
  debug?: {
    fingerprint: string
    cell: string
    packets: number
    peers: number
    weight: number
    domain?: string
    domainSource?: string
  }
}

/** As `fetch` and the OpenAI client give them, or Node's own. */
export type HeaderSource =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | string[] | undefined>>

/** Which answer is meant: an {@link Insight}, or one of its names. Of several, the receipt counts. */
export interface Answer {
  receipt?: string | undefined
  requestId?: string | undefined
  /** The `id` in the answer. */
  completionId?: string | undefined
}

export type CorrectionType = 'factual' | 'reasoning' | 'format' | 'safety' | 'other'

/** What is said of it; docs/feedback.md has the meaning of each field. */
export interface Opinion {
  /** `null` takes everything back. */
  rating?: 'up' | 'down' | null
  /** 0 to 1. */
  score?: number
  correction?: string | { type?: CorrectionType; text?: string }
  comment?: string
  tags?: string[]
  source?: 'user' | 'app' | 'evaluator'
}

export interface FeedbackResult {
  feedback_id: string
  status: 'accepted' | 'updated' | 'revoked' | 'duplicate' | 'pending'
}

/** A question to be judged before it is asked. */
export interface Question {
  text: string
  /** At most 16, to be compared; those that the sidecar chooses from when left out. */
  models?: readonly string[]
  domain?: string
}

/** What is known of a question for one model. */
export interface ModelAdvice {
  model: string
  /** 0 to 1; null where nothing is known near the question. */
  confidence: number | null
  /** The same, from the model in general where nothing is known near it. */
  expected: number
  deviation: number
  adjustment: number
  evidence: Evidence
  packets: number
  peers: number
  weight: number
}

/** The fields that last; docs/uses.md has all of them. */
export interface Advice {
  domain: string
  fingerprint: string
  models: ModelAdvice[]
}

export interface CallOptions {
  signal?: AbortSignal
}

export interface FeedbackOptions extends CallOptions {
  /** The same key with the same feedback gets the same result, so that a caller may safely try again. */
  idempotencyKey?: string
}

export interface ClientOptions {
  /** `QIS_ADMIN_TOKEN`, or `QIS_EVALUATOR_TOKEN` for an evaluator; a receipt needs neither. Never in a browser. */
  token?: string
  /** For each call, milliseconds. */
  timeoutMs?: number
  fetch?: typeof fetch
}

export interface Client {
  /** @throws {QisError} */
  feedback(answer: Answer, opinion: Opinion, options?: FeedbackOptions): Promise<FeedbackResult>
  /**
   * What is known about a question, without asking any model.
   *
   * @throws {QisError}
   */
  advise(question: Question, options?: CallOptions): Promise<Advice>
}

/** The sidecar said no; branch on `code`, which docs/errors.md lists. */
export class QisError extends Error {
  override readonly name = 'QisError'
  readonly code: string
  /** Of the HTTP response. */
  readonly status: number
  /** The path of the field at fault. */
  readonly field: string | undefined

  constructor(message: string, code: string, status: number, field: string | undefined) {
    super(message)
    this.code = code
    this.status = status
    this.field = field
  }
}

/** @param url the sidecar's data address, as `http://127.0.0.1:8787`; an API's base URL with its `/v1` will do */
export function createClient(url: string, options: ClientOptions = {}): Client {
  const { token, timeoutMs = 10_000, fetch: send = fetch } = options
  const base = url.replace(/\/(v1\/?)?$/, '')

  async function post<T>(path: string, body: object, headers: Record<string, string>, signal?: AbortSignal) {
    const deadline = AbortSignal.timeout(timeoutMs)
    const response = await send(`${base}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    })
    if (!response.ok) throw await errorOf(response)
    return (await response.json()) as T
  }

  return {
    feedback({ receipt, requestId, completionId }, opinion, { idempotencyKey, signal } = {}) {
      const named = receipt !== undefined ? { receipt } : requestId !== undefined ? { requestId } : { completionId }
      const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
      return post<FeedbackResult>('/qis/feedback', { ...named, ...opinion }, headers, signal)
    },
    advise: (question, { signal } = {}) => post<Advice>('/qis/advise', question, {}, signal),
  }
}

/** Undefined when the answer did not come through a sidecar, or the client opted out. */
export function readInsight(headers: HeaderSource): Insight | undefined {
  const read = (name: string): string | undefined => header(headers, `x-qis-${name}`)
  const number = (name: string): number | undefined => {
    const text = read(name)
    return text === undefined || Number.isNaN(Number(text)) ? undefined : Number(text)
  }
  const requestId = read('request-id')
  if (requestId === undefined) return undefined
  const evidence = (['low', 'moderate', 'high'] as const).find(grade => grade === read('evidence')) ?? 'none'
  const optional = { receipt: read('receipt'), confidence: number('confidence'), adjustment: number('adjustment') }
  const changed = { model: read('model'), refined: read('refined') }
  const fingerprint = read('fingerprint')
  return {
    requestId,
    evidence,
    version: read('version') ?? '',
    ...present({ ...optional, ...changed }),
    ...(fingerprint !== undefined && {
      debug: {
        fingerprint,
        cell: read('cell') ?? '',
        packets: number('packets') ?? 0,
        peers: number('peers') ?? 0,
        weight: number('weight') ?? 0,
        ...present({ domain: read('domain'), domainSource: read('domain-source') }),
      },
    }),
  }
}

function header(headers: HeaderSource, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined
  const value = (headers as Readonly<Record<string, string | string[] | undefined>>)[name]
  return Array.isArray(value) ? value[0] : value
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>
}

async function errorOf(response: Response): Promise<QisError> {
  const { status } = response
  const text = await response.text()
  try {
    const { message, code, param } = (JSON.parse(text) as { error: Record<string, string | null> }).error
    return new QisError(message ?? text, code ?? 'unknown', status, param ?? undefined)
  } catch {
    // A proxy in between, or no sidecar at all.
    return new QisError(`HTTP ${status}: ${text.slice(0, 200)}`, 'unknown', status, undefined)
  }
}
