/** Settings of who may do what: tokens, web pages, names and rates. */
import { Type } from '@sinclair/typebox'
import { type TokenSetting, tokens } from '../access/tokens.ts'
import { kind, list, listSchema, type Variable, whole } from './variable.ts'

export interface AccessConfig {
  adminToken: TokenSetting | undefined
  evaluatorToken: TokenSetting | undefined
  feedbackToken: TokenSetting | undefined
  metricsToken: TokenSetting | undefined
  feedbackOrigins: readonly string[]
  hosts: readonly string[]
  /** Requests a minute from one address to our own endpoints; 0 for no limit. */
  rateLimit: number
  /** A client that neither sends nor takes enough in this time is given up. */
  stallMs: number
}

/** What may stand behind a feedback token: whose word its holder brings. */
export const FEEDBACK_RIGHTS = ['user', 'app'] as const

const pageOrigins = kind(listSchema(), text => {
  const origins = list(text)
  if (origins.every(one => one === '*' || URL.parse(one)?.origin === one)) return origins
  throw new Error('origins like https://chat.example, without a path, or *')
})

const hostNames = kind(listSchema(), text => {
  const names = list(text)
  if (names.every(name => /^[a-z0-9_](?:[a-z0-9_.-]{0,252})$/i.test(name))) return names
  throw new Error('names like qis.example, without a port')
})

const token = (...rights: string[]) => kind(Type.String({ minLength: 1 }), tokens(...rights))

export const accessVariables = {
  adminToken: {
    name: 'QIS_ADMIN_TOKEN',
    help: 'demanded on the admin listener; must be set when bound beyond loopback. A token, its hash as sha256:HEX, or file:PATH with one a line, read anew when it changes',
    reloads: true,
    parse: token(),
  },
  evaluatorToken: {
    name: 'QIS_EVALUATOR_TOKEN',
    help: 'demanded from evaluators, spelt alike, and good for nothing but verdicts; without it, nobody is one',
    reloads: true,
    parse: token(),
  },
  feedbackToken: {
    name: 'QIS_FEEDBACK_TOKEN',
    help: 'demanded with feedback that comes without a receipt, and by /qis/advise and /qis/rerank, spelt alike; words behind it (user, app) say for whom its holder may speak. Unset, the admin token is, when bound beyond loopback',
    reloads: true,
    parse: token(...FEEDBACK_RIGHTS),
  },
  metricsToken: {
    name: 'QIS_METRICS_TOKEN',
    help: 'demanded for /metrics and good for nothing else, spelt alike; unset, the admin token is',
    reloads: true,
    parse: token(),
  },
  feedbackOrigins: {
    name: 'QIS_FEEDBACK_ORIGINS',
    default: '',
    help: 'origins of web pages whose browsers may give feedback, by comma, as https://chat.example; * for all',
    reloads: true,
    parse: pageOrigins,
  },
  hosts: {
    name: 'QIS_HOSTS',
    default: '',
    help: 'names by which clients call this sidecar, by comma, beside localhost and addresses; when set, requests to any other are refused. Unset, a loopback admin listener refuses them all the same',
    parse: hostNames,
  },
  rateLimit: {
    name: 'QIS_RATE_LIMIT',
    default: '6000',
    help: 'requests a minute from one address to endpoints of the sidecar itself, never counting proxied ones; 0 for no limit',
    reloads: true,
    parse: whole(0, 1_000_000),
  },
  stallMs: {
    name: 'QIS_STALL_MS',
    default: '120000',
    help: 'a client that sends less than 1 KiB of an unfinished request, or takes nothing of what waits for it, in this time is given up; 0 for never',
    parse: whole(0, 24 * 3_600_000),
  },
} satisfies { [K in keyof AccessConfig]: Variable<NonNullable<AccessConfig[K]>> }
