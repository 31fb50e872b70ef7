/** `model: "qis/auto"`: which of the configured models answers, by what is known of such questions. */
import { hash, randomBytes } from 'node:crypto'
import { modelVariant } from '../../router/model-variant.ts'
import type { Insight } from '../../router/router.ts'
import { chooseAmong } from '../../router/synthesis/choice.ts'
import type { RouteCandidate } from '../config/uses.ts'
import { HttpError } from '../errors.ts'
import { readConversation } from '../query/conversation.ts'
import { readModel } from '../query/model.ts'
import { Recent } from '../recent.ts'
import { DEFAULT_POLICY, type Policies, type Policy } from './policies.ts'

export const AUTO = 'qis/auto'

/**
 * `best` and `explored` by what is known, `sticky` since the conversation has it already, `fallback` for want of advice,
 * `unavailable` when the server of the one chosen first could not be reached.
 */
export type RouteReason = 'best' | 'explored' | 'sticky' | 'fallback' | 'unavailable'

/** What was known of one candidate. */
export interface Considered extends RouteCandidate {
  variant: string
  available: boolean
  /** Undefined where nothing was looked up. */
  insight: Insight | undefined
  score: number | undefined
}

export interface Route {
  policy: string
  chosen: Considered
  reason: RouteReason
  /** In the order of the configuration. */
  considered: readonly Considered[]
  /** To be tried in turn when the server of the chosen cannot be reached. */
  rest: readonly Considered[]
  /** Nothing is to be asked of any model. */
  only: boolean
}

export interface RouteQuestion {
  /** The body's `model`. */
  asked: string
  domain: string
  body: Buffer
  /** The client, as `callers.ts` spells it. */
  caller(): string | undefined
  /** Whether a header says so. */
  only: boolean
  lookup(variant: string): Insight
}

export interface Routing {
  readonly models: readonly string[]
  /**
   * Undefined when the client has named a model itself.
   * @throws {HttpError} invalid_field for a policy that is unknown, or a dry run that has nothing to choose
   */
  choose(question: RouteQuestion): Route | undefined
  /**
   * The default, where nothing can be known.
   * @param domain as the client says
   * @throws {HttpError} as `choose`
   */
  fallback(body: Buffer, domain: string | undefined, only: boolean): Route | undefined
}

/** Conversations whose model is remembered, by a digest. */
const MAX_CONVERSATIONS = 10_000

export function createRouting(
  components: {
    /** Read at each question. */
    readonly policies: Policies
    /** Whether a server that serves it answers. */
    available(model: string): boolean
    onRouted?(model: string, reason: RouteReason): void
    random?: () => number
  },
  { maxConversations = MAX_CONVERSATIONS }: { maxConversations?: number } = {},
): Routing {
  const { available, onRouted, random = Math.random } = components
  const conversations = new Recent<string>(maxConversations)
  const salt = randomBytes(16)

  function policyOf(asked: string, domain: string | undefined, only: boolean): Policy | undefined {
    const auto = asked === AUTO || asked.startsWith(`${AUTO}:`)
    if (!auto && !only) return undefined
    if (!auto) throw new HttpError('invalid_field', `route_only asks what ${AUTO} would choose`, { field: 'model' })
    const { policies } = components
    const name = asked === AUTO ? undefined : asked.slice(AUTO.length + 1)
    if (name === undefined) return domain === undefined ? policies.named(DEFAULT_POLICY) : policies.of(domain)
    const policy = policies.named(name)
    if (policy) return policy
    const names = policies.names.join(', ')
    throw new HttpError('invalid_field', `there is no policy ${name}; there are ${names}`, { field: 'model' })
  }

  function consider(candidate: RouteCandidate, insight?: Insight): Considered {
    const variant = modelVariant(candidate.name)
    return { ...candidate, variant, available: available(candidate.name), insight, score: undefined }
  }

  /** The first that can be reached; all of them when none can, since to try costs nothing. */
  function routeOf(
    policy: Policy,
    considered: readonly Considered[],
    order: readonly Considered[],
    reason: RouteReason,
    only: boolean,
  ): Route {
    const reachable = order.filter(one => one.available)
    const [chosen, ...rest] = reachable.length > 0 ? reachable : order
    if (!chosen) throw new TypeError('a policy has at least one candidate')
    const why = chosen === order[0] ? reason : 'unavailable'
    if (!only) onRouted?.(chosen.name, why)
    return { policy: policy.name, chosen, reason: why, considered, rest, only }
  }

  return {
    get models() {
      const { names } = components.policies
      return [AUTO, ...names.filter(name => name !== DEFAULT_POLICY).map(name => `${AUTO}:${name}`)]
    },

    choose({ asked, domain, body, caller: callerOf, only: dry, lookup }) {
      if (!asked.startsWith(AUTO) && !dry) return undefined
      const { opening, continued, routeOnly } = readConversation(body)
      const only = dry || routeOnly
      const policy = policyOf(asked, domain, only)
      if (!policy) return undefined
      const considered = policy.candidates.map(one => consider(one, lookup(modelVariant(one.name))))
      const { order, scores, reason } = chooseAmong(
        considered.map(({ insight, price }) => ({
          expected: insight?.prospect.expected ?? 0,
          deviation: insight?.prospect.deviation ?? 0,
          price,
        })),
        policy,
        random,
      )
      considered.forEach((one, at) => {
        one.score = scores[at]
      })
      const caller = callerOf()
      const ordered = order.map(at => considered[at] as Considered)
      const key =
        opening && caller !== undefined
          ? hash('sha256', Buffer.concat([salt, Buffer.from(`${caller}/${asked}/`), opening]), 'base64')
          : undefined
      const held = key !== undefined && continued ? conversations.get(key) : undefined
      const sticky = ordered.find(({ name }) => name === held)
      const route = sticky
        ? routeOf(policy, considered, [sticky, ...ordered.filter(one => one !== sticky)], 'sticky', only)
        : routeOf(policy, considered, ordered, reason, only)
      if (key !== undefined && !only) conversations.set(key, route.chosen.name)
      return route
    },

    fallback(body, domain, only) {
      const asked = readModel(body) ?? ''
      const dry = asked.startsWith(AUTO) ? only || readConversation(body).routeOnly : only
      const policy = policyOf(asked, domain, dry)
      if (!policy) return undefined
      const considered = policy.candidates.map(one => consider(one))
      return routeOf(policy, considered, considered, 'fallback', dry)
    },
  }
}

/** With the next best in the place of one whose server could not be reached. */
export function nextRoute({ rest: [chosen, ...rest], ...route }: Route): Route | undefined {
  return chosen && { ...route, chosen, rest, reason: 'unavailable' }
}
