/**
 * Stands before every route of our own, those that others add included: names, pages, rates, and what browsers are told.
 * Proxied requests never come by here.
 */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from '../errors.ts'
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
export function guard(app: FastifyInstance, { limits, hosts }: GuardOptions): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(BROWSER_HEADERS)
  })
  if (hosts) app.addHook('onRequest', unlessForAnyone(refuseOtherHosts(hosts)))
  limitRate(app, limits)
}

export function unlessForAnyone(hook: Hook): Hook {
  return async (request, reply) => {
    if (request.routeOptions.config?.for !== 'anyone') await hook(request, reply)
  }
}

export function refuseOtherHosts(hosts: HostCheck): Hook {
  return async ({ headers }) => {
    if (hosts(headers.host)) return
    throw new HttpError('host_refused', 'this name is not known here; see QIS_HOSTS', { field: 'host' })
  }
}

function limitRate(app: FastifyInstance, limits: GuardOptions['limits']): void {
  void app.register(rateLimit, { global: false, cache: MAX_CALLERS })
  let count: ReturnType<FastifyInstance['createRateLimit']> | undefined
  void app.after(error => {
    if (error === null) count = app.createRateLimit({ max: () => limits.rateLimit, timeWindow: MINUTE_MS })
  })
  app.addHook(
    'onRequest',
    unlessForAnyone(async (request, reply) => {
      if (limits.rateLimit === 0) return
      const told = await count?.(request)
      if (!told || told.isAllowed || !told.isExceeded) return
      reply.header('retry-after', String(told.ttlInSeconds))
      throw new HttpError('rate_limited', `more than ${limits.rateLimit} requests a minute came from your address`)
    }),
  )
}
