/** The x-qis-* headers, both ways: what a client may say about a request, and what we tell about an answer. */
import type { IncomingHttpHeaders } from 'node:http'
import { DOMAIN_PATTERN, STRATEGY_PATTERN } from '../router/outcome.ts'
import type { Insight } from '../router/router.ts'
import type { Likeness } from './domain/examples.ts'
import type { FoundDomain } from './domain.ts'
import { type Steered, summariseRoute } from './steering.ts'

export const HEADER_VERSION = '1'
const PREFIX = 'x-qis-'

/** What the client said of its request; a header that makes no sense counts as not sent, since it must harm nothing. */
export interface Hints {
  domain: string | undefined
  strategy: string | undefined
  selfConfidence: number | undefined
  debug: boolean
  optOut: boolean
  /** It wants to know which model would be chosen, and no answer. */
  routeOnly: boolean
}

const domainPattern = new RegExp(DOMAIN_PATTERN)
const strategyPattern = new RegExp(STRATEGY_PATTERN)

export function readHints(headers: IncomingHttpHeaders): Hints {
  const domain = single(headers[`${PREFIX}domain`])?.toLowerCase()
  const strategy = single(headers[`${PREFIX}strategy`])?.toLowerCase()
  return {
    domain: domain !== undefined && domainPattern.test(domain) ? domain : undefined,
    strategy: strategy !== undefined && strategyPattern.test(strategy) ? strategy : undefined,
    selfConfidence: probability(single(headers[`${PREFIX}self-confidence`])),
    debug: isYes(single(headers[`${PREFIX}debug`])),
    optOut: isYes(single(headers[`${PREFIX}opt-out`])),
    routeOnly: isYes(single(headers[`${PREFIX}route-only`])),
  }
}

/** Whether a header, in lower case, is one of ours. */
export function isInsight(name: string): boolean {
  return name.startsWith(PREFIX)
}

export const RECEIPT_HEADER = `${PREFIX}receipt`

export interface Told {
  requestId: string
  insight?: Insight | undefined
  domain?: FoundDomain | undefined
  steered?: Steered | undefined
  debug: boolean
}

/** What we tell; the confidence only where there is evidence. Values are our own numbers and ids, never a peer's text. */
export function insightHeaders({ requestId, insight, domain, steered, debug }: Told): Record<string, string> {
  const headers: Record<string, string> = { 'x-qis-version': HEADER_VERSION, 'x-qis-request-id': requestId }
  if (insight && insight.grade !== 'none') {
    headers['x-qis-confidence'] = insight.confidence.toFixed(2)
    headers['x-qis-adjustment'] = signed(insight.adjustment)
    headers['x-qis-evidence'] = insight.grade
  }
  if (insight && debug) {
    headers['x-qis-fingerprint'] = insight.code
    headers['x-qis-cell'] = insight.code.slice(0, 2)
    headers['x-qis-packets'] = String(insight.packets)
    headers['x-qis-peers'] = String(insight.peers)
    headers['x-qis-weight'] = insight.weight.toFixed(3)
  }
  if (steered) Object.assign(headers, steeringHeaders(steered, debug))
  if (domain && debug) {
    headers['x-qis-domain'] = domain.name
    headers['x-qis-domain-source'] = domain.source
    if (domain.nearest) headers['x-qis-domain-nearest'] = describeLikeness(domain.nearest)
  }
  return headers
}

/** What was changed is always told; why, on request. Names of models are the operator's. */
function steeringHeaders({ route, refinement }: Steered, debug: boolean): Record<string, string> {
  return {
    ...(route && { 'x-qis-model': route.chosen.name }),
    ...(refinement?.treated && { 'x-qis-refined': refinement.type }),
    ...(debug && route && { 'x-qis-route': `policy=${route.policy}; reason=${route.reason}` }),
    ...(debug && route && { 'x-qis-route-candidates': summariseRoute(route) }),
    ...(debug && refinement && !refinement.treated && { 'x-qis-refined-not': `${refinement.type}; held back` }),
  }
}

function describeLikeness({ name, similarity, threshold }: Likeness): string {
  return `${name}; similarity=${similarity.toFixed(3)}; threshold=${threshold.toFixed(3)}`
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function probability(text: string | undefined): number | undefined {
  const value = Number(text)
  return text !== undefined && text.trim() !== '' && value >= 0 && value <= 1 ? value : undefined
}

function isYes(text: string | undefined): boolean {
  return text === '1' || text === 'true'
}

function signed(value: number): string {
  const text = value.toFixed(2)
  return Number(text) < 0 ? text : `+${text.replace('-', '')}`
}
