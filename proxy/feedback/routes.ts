/** `POST /qis/feedback` and its alias: HTTP around the feedback that feedback.ts takes, one piece or many. */
import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Access, EVERYONE, mayLook, type Voices } from '../access/access.ts'
import { guard, unknownHost } from '../access/guard.ts'
import type { Callers } from '../callers.ts'
import { notFound } from '../error-handler.ts'
import { HttpError } from '../errors.ts'
import type { ApiDescription } from '../openapi.ts'
import type { Receipts } from '../receipts.ts'
import { describedFeedback } from './described.ts'
import type { Feedback } from './feedback.ts'
import type { FeedbackResult, Idempotency, Reach, SayJob } from './group.ts'
import { feedbackItemRoutes, parseJsonBodies } from './item-routes.ts'
import type { Source } from './opinion.ts'
import { originCheck } from './origins.ts'
import { batchOf, type Reading, readBatchItem, readFeedback } from './reading.ts'

export interface FeedbackRouteComponents {
  feedback: Feedback
  receipts: Receipts
  callers: Callers
  access: Pick<Access, 'voices' | 'holder' | 'dataHosts' | 'ownHosts'>
  api: Pick<ApiDescription, 'watch'>
}

export interface FeedbackRouteOptions {
  /** Of web pages whose browsers may give feedback, as `https://chat.example`; `*` for all. */
  feedbackOrigins: readonly string[]
  /** Requests a minute from one address; 0 for no limit. */
  rateLimit: number
}

/** What a caller may, and who it is. */
interface Caller {
  voices: Voices
  authorization: string
  name: string | undefined
  key: string | undefined
}

/** A receipt is for the person who was given the answer; a program that speaks as one shows a token. */
const RECEIPT_VOICES: Voices = ['user']
const MAX_BATCH = 1_000
/** Of those who show no token: each receipt that is none costs a key of its own. */
const MAX_STRANGERS_BATCH = 20
const MAX_KEY_CHARS = 256

export interface TakingComponents extends Pick<FeedbackRouteComponents, 'feedback' | 'callers'> {
  /** For whom the bearer of this may speak. */
  voices: Access['voices']
}

/** Answers a POST with what became of the feedback in it, one piece or a batch; wherever it is posted. */
export function takeFeedback({ feedback, callers, voices: voicesOf }: TakingComponents) {
  function callerOf({ headers, ip }: FastifyRequest): Caller {
    const { authorization, origin } = headers
    const key = headers['idempotency-key']
    if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > MAX_KEY_CHARS)) {
      throw new HttpError('invalid_field', `idempotency-key must be one text of 1 to ${MAX_KEY_CHARS} characters`, {
        field: 'idempotency-key',
      })
    }
    return {
      voices: voicesOf(authorization, origin),
      authorization: authorization ?? '',
      name: callers.of(authorization, ip),
      key,
    }
  }

  async function takeOne(request: FastifyRequest): Promise<FeedbackResult> {
    const caller = callerOf(request)
    const { body } = request
    if (caller.voices.length === 0 && !holdsReceipt(body)) throw unauthorised()
    const reading = readFeedback(body, { query: request.query as Record<string, unknown> })
    const [result] = await feedback.take([jobOf(reading, caller, [body, request.query], caller.key)])
    if (!result || result instanceof HttpError) throw result
    return result
  }

  async function takeMany(request: FastifyRequest, batch: { items: readonly unknown[]; path: string }) {
    const caller = callerOf(request)
    const { items, path } = batch
    const most = caller.voices.length > 0 ? MAX_BATCH : MAX_STRANGERS_BATCH
    if (items.length === 0 || items.length > most) {
      const who = most < MAX_BATCH ? ', when no token comes with it' : ''
      throw new HttpError('invalid_field', `a batch has 1 to ${most} items${who}`, { field: path })
    }
    const [parameter] = Object.keys(request.query as object)
    if (parameter !== undefined) {
      throw new HttpError('invalid_field', 'a batch names its answers itself', { field: `?${parameter}` })
    }
    const jobs = items.map((item, at) => {
      try {
        if (caller.voices.length === 0 && !holdsReceipt(item)) throw unauthorised()
        const key = caller.key === undefined ? undefined : `${caller.key}#${at}`
        return jobOf(readBatchItem(item, `${path}[${at}]`), caller, item, key)
      } catch (error) {
        if (error instanceof HttpError) return error
        throw error
      }
    })
    const good = jobs.filter((job): job is SayJob => !(job instanceof HttpError))
    const taken = await feedback.take(good)
    const resultOf = new Map(good.map((job, at) => [job, taken[at]]))
    return {
      results: jobs.map((job, at) => {
        const result = job instanceof HttpError ? job : resultOf.get(job)
        return result instanceof HttpError ? failed(result, `${path}[${at}]`) : result
      }),
    }
  }

  /** Nobody speaks for another by saying so: a program that rates is not a person, nor an evaluator without its token. */
  function jobOf(reading: Reading, caller: Caller, body: unknown, key: string | undefined): SayJob {
    const { target, saying, sourcePath, idempotencyKey = key } = reading
    if (!target) throw new HttpError('invalid_field', 'the answer is not named', { field: 'request_id' })
    const hasReceipt = target.kind === 'receipt'
    const voices = hasReceipt ? [...RECEIPT_VOICES, ...caller.voices] : caller.voices
    const source = reading.source ?? voices[0]
    if (source === undefined) throw unauthorised()
    if (!voices.includes(source)) throw mayNotSpeakFor(source, sourcePath, voices)
    const scope = hasReceipt ? target.token : caller.authorization
    return { kind: 'say', target, saying, source, caller: caller.name, once: onceOf(idempotencyKey, scope, body) }
  }

  return async (request: FastifyRequest, reply: FastifyReply) => {
    const batch = batchOf(request.body)
    return batch ? reply.code(207).send(await takeMany(request, batch)) : reply.code(202).send(await takeOne(request))
  }
}

export function feedbackRoutes(components: FeedbackRouteComponents, options: FeedbackRouteOptions) {
  const { feedback, receipts, access, api } = components
  const take = takeFeedback({ ...components, voices: access.voices })

  /** With a token, feedback of those for whom its holder may speak; with a receipt, a person's own on its answer alone. */
  function permit({ headers }: FastifyRequest): Reach {
    const { authorization, origin, host, 'x-qis-receipt': receipt } = headers
    if (typeof receipt === 'string') return { requestId: receipts.open(receipt).requestId, sources: RECEIPT_VOICES }
    const voices = access.voices(authorization, origin)
    if (!mayLook(voices)) throw unauthorised()
    // A page sends no Origin when it looks at what it takes for its own server. It has nothing to show, either.
    if (access.holder(authorization) === undefined && !access.ownHosts(host)) throw unknownHost()
    return { sources: EVERYONE.every(voice => voices.includes(voice)) ? undefined : voices }
  }

  return async (app: FastifyInstance): Promise<void> => {
    const methodsAt = api.watch(app, () => app.listeningOrigin)
    const refuse = (request: FastifyRequest, reply: FastifyReply) => {
      throw notFound(request, reply, methodsAt)
    }
    guard(app, { limits: options, hosts: undefined, access })
    app.addHook('onRequest', originCheck(options, access.ownHosts))
    parseJsonBodies(app)
    for (const url of ['/qis/feedback', '/v1/feedback']) app.post(url, describedFeedback.give, take)
    // Else the upstream would be asked whether a page may.
    app.options('/v1/feedback', refuse)
    feedbackItemRoutes(app, feedback, permit)
    // The rest of the prefix is ours too, so that a typing error is told and not sent to the LLM.
    app.all('/qis/*', refuse)
  }
}

function failed({ code, message, field }: HttpError, path: string) {
  const at = field?.startsWith(path) || field === undefined ? field : `${path}.${field}`
  return { status: 'error' as const, error: { code, message, field: at ?? path } }
}

function mayNotSpeakFor(source: Source, field: string, voices: Voices): HttpError {
  if (source !== 'evaluator') {
    const shown = voices.join(' and ')
    return new HttpError('source_refused', `what was shown speaks for ${shown}, and not for ${source}`, { field })
  }
  const message = "an evaluator has to send QIS_EVALUATOR_TOKEN's value as its bearer token"
  return new HttpError('evaluator_refused', message, { field })
}

function holdsReceipt(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'receipt' in body
}

function unauthorised(): HttpError {
  return new HttpError('unauthorized', 'a receipt or a token is needed')
}

/** Keys are taken from each caller by itself, and only digests are kept. */
function onceOf(key: string | undefined, scope: string, body: unknown): Idempotency | undefined {
  if (key === undefined) return undefined
  const digest = (value: unknown) => hash('sha256', JSON.stringify(value) ?? '', 'base64url')
  return { key: digest([scope, key]), body: digest(body) }
}
