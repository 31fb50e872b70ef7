/**
 * Stands before every route of our own, those that others add included: names, pages, rates, and what browsers are told.
 * Proxied requests never come by here.
 */
import type { IncomingMessage } from 'node:http'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { HttpError } from '../errors.ts'
import type { Access } from './access.ts'
import type { HostCheck } from './hosts.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Of a route of the admin listener. `anyone`: orchestrators ask for it by any name and without a token, and learn
     * nothing from it. `scrapers`: the token for metrics will do. `visitors`: a page that asks for the token and holds
     * nothing itself. Else the admin token is needed.
     */
    for?: 'anyone' | 'scrapers' | 'visitors'
  }
}

export interface GuardOptions {
  /** Requests a minute from one address; 0 for no limit. Read at each request. */
  limits: { readonly rateLimit: number }
  hosts: HostCheck | undefined
  access: Pick<Access, 'holder'>
}

const MINUTE_MS = 60_000
/** Addresses (of IPv6, networks of 64 bits) that are counted at a time. */
const MAX_CALLERS = 10_000

/** Pages come from here alone, run no script but files of ours, and are framed by nobody; nothing is kept or guessed at. */
export const BROWSER_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
}

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

/** Hooks for all routes that are added to `app` from now on, and for paths that are none. */
export function guard(app: FastifyInstance, { limits, hosts, access }: GuardOptions): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(BROWSER_HEADERS)
  })
  if (hosts) app.addHook('onRequest', unlessForAnyone(refuseOtherHosts(hosts)))
  limitRate(app, limits, access)
}

export function unlessForAnyone(hook: Hook): Hook {
  return async (request, reply) => {
    if (request.routeOptions.config?.for !== 'anyone') await hook(request, reply)
  }
}

/**
 * A hook for every request, proxied ones too: what Node's parser lets through and HTTP/1.1 does not (RFC 9112 sections 2.3,
 * 3.2 and 6.1). Two readers could take it for two different requests.
 */
export function refuseAmbiguous({ raw }: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const fault = ambiguityIn(raw)
  // Where the next request begins is in doubt as well.
  if (fault !== undefined) reply.header('connection', 'close')
  done(fault === undefined ? undefined : new HttpError('bad_request', fault))
}

function ambiguityIn({ rawHeaders, headers, httpVersionMajor }: IncomingMessage): string | undefined {
  const encoding = headers['transfer-encoding']
  if (httpVersionMajor !== 1) return 'the request line has no version of HTTP/1'
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    return 'the only transfer encoding taken here is chunked'
  return hasTwoHosts(rawHeaders) ? 'there is more than one Host' : undefined
}

export function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}

export function refuseOtherHosts(hosts: HostCheck): Hook {
  return async ({ headers }) => {
    if (hosts(headers.host)) return
    throw unknownHost()
  }
}

export function unknownHost(): HttpError {
  return new HttpError('host_refused', 'this name is not known here; see QIS_HOSTS', { field: 'host' })
}

/**
 * Who shows a token that is good has an allowance of its own, so that what others send from the same address, as that of a
 * proxy in front, shuts nobody out. It keeps nobody from guessing on: what is guessed must be too long for that.
 */
function limitRate(app: FastifyInstance, limits: GuardOptions['limits'], access: GuardOptions['access']): void {
  const each = { max: () => limits.rateLimit, timeWindow: MINUTE_MS }
  const holderOf = ({ headers }: FastifyRequest) => access.holder(headers.authorization)
  void app.register(rateLimit, { global: false, cache: MAX_CALLERS })
  let count: ReturnType<FastifyInstance['createRateLimit']> | undefined
  let countHolder: typeof count
  void app.after(error => {
    if (error !== null) return
    count = app.createRateLimit(each)
    countHolder = app.createRateLimit({ ...each, keyGenerator: request => `token ${holderOf(request)}` })
  })
  app.addHook(
    'onRequest',
    unlessForAnyone(async (request, reply) => {
      if (limits.rateLimit === 0) return
      const told = await (holderOf(request) === undefined ? count : countHolder)?.(request)
      if (!told || told.isAllowed || !told.isExceeded) return
      reply.header('retry-after', String(told.ttlInSeconds))
      throw new HttpError(
        'rate_limited',
        `more than ${limits.rateLimit} requests a minute came from your address, or with your token`,
      )
    }),
  )
}
