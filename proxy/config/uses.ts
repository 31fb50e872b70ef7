/** Settings of the uses of advice: choosing a model, refining a prompt, re-ranking documents. All are off or harmless unset. */
import { Type } from '@sinclair/typebox'
import { DOMAIN_PATTERN } from '../../router/outcome.ts'
import { between, kind, list, listSchema, onOff, path, type Variable } from './variable.ts'

export interface RouteCandidate {
  /** As the upstream knows it. */
  name: string
  /** In any unit, the same for all. */
  price: number
}

export interface UsesConfig {
  /** The models that `qis/auto` chooses among, the default first; empty turns it off. */
  route: readonly RouteCandidate[]
  routePriceWeight: number
  /** Share of choices made at random; undefined to take the best known always. */
  routeExplore: number | 'off'
  routePolicies: string | undefined
  routeList: boolean
  refine: boolean
  /** Domains in which prompts may be refined, with those below them; `*` for all. */
  refineDomains: readonly string[]
  refineThreshold: number
  refineHoldout: number
  refineTemplates: string | undefined
  rerankDeadlineMs: number
  /** Whether the upstream is asked for logprobs that the client did not ask for, and does not get. */
  ownLogprobs: boolean
}

export const MAX_ROUTE_CANDIDATES = 16
/** Goes into a header and between commas. */
const MODEL_NAME = /^[!-+\--<>-~]{1,200}$/

const routeCandidates = kind(listSchema(), (text): RouteCandidate[] => {
  const candidates = list(text).map(item => {
    const [name = '', price = '0', ...rest] = item.split('=').map(part => part.trim())
    if (!MODEL_NAME.test(name) || !/^\d*\.?\d+$/.test(price) || rest.length > 0) {
      throw new Error('models with their prices, like llama3=0.2, gpt-4o=5')
    }
    return { name, price: Number(price) }
  })
  const names = new Set(candidates.map(({ name }) => name))
  if (names.size < candidates.length) throw new Error('models that are all different')
  if (names.size > MAX_ROUTE_CANDIDATES) throw new Error(`at most ${MAX_ROUTE_CANDIDATES} models`)
  return candidates
})

const domainNames = kind(listSchema(), text => {
  const names = list(text)
  if (names.every(name => name === '*' || new RegExp(DOMAIN_PATTERN).test(name))) return names
  throw new Error('domains by comma, like clinical, support.billing; or *')
})

const shareOrOff = kind(
  Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Literal('off')]),
  (text): number | 'off' => (text === 'off' ? 'off' : between(0, 1)(text)),
)

export const usesVariables = {
  route: {
    name: 'QIS_ROUTE',
    default: '',
    help: 'models that "qis/auto" chooses among, the default first, each with its price in any unit: llama3=0.2, gpt-4o=5; off when unset',
    reloads: true,
    parse: routeCandidates,
  },
  routePriceWeight: {
    name: 'QIS_ROUTE_PRICE_WEIGHT',
    default: '0.1',
    help: 'how much better, 0 to 1, answers of the dearest of them must be than those of one that costs nothing',
    reloads: true,
    parse: between(0, 10),
  },
  routeExplore: {
    name: 'QIS_ROUTE_EXPLORE',
    default: '0.02',
    help: 'largest share of these choices made at random, less the more is known, beside a preference for what is less known; off takes the best known always',
    reloads: true,
    parse: shareOrOff,
  },
  routePolicies: {
    name: 'QIS_ROUTE_POLICIES',
    help: 'YAML or JSON file of named policies and of the domains they are for; see docs/uses.md',
    reloads: true,
    parse: path,
  },
  routeList: {
    name: 'QIS_ROUTE_LIST',
    default: 'off',
    help: 'whether GET /v1/models tells of qis/auto: on or off',
    parse: onOff,
  },
  refine: {
    name: 'QIS_REFINE',
    default: 'off',
    help: 'whether prompts may get an instruction from a local template, where corrections ask for it: on or off',
    reloads: true,
    parse: onOff,
  },
  refineDomains: {
    name: 'QIS_REFINE_DOMAINS',
    default: '',
    help: 'domains in which that may be, by comma, with those below them; * for all',
    reloads: true,
    parse: domainNames,
  },
  refineThreshold: {
    name: 'QIS_REFINE_THRESHOLD',
    default: '0.3',
    help: 'share of corrections of one type, of the outcomes near a question, from which its instruction is added',
    reloads: true,
    parse: between(0, 1),
  },
  refineHoldout: {
    name: 'QIS_REFINE_HOLDOUT',
    default: '0.2',
    help: 'share of such requests that go without it all the same, so that its effect is measured',
    reloads: true,
    parse: between(0.01, 0.9),
  },
  refineTemplates: {
    name: 'QIS_REFINE_TEMPLATES',
    help: 'YAML or JSON file with instructions of your own by type of correction; see docs/uses.md',
    reloads: true,
    parse: path,
  },
  rerankDeadlineMs: {
    name: 'QIS_RERANK_DEADLINE_MS',
    default: '2000',
    help: 'for embedding the documents of one POST /qis/rerank',
    reloads: true,
    parse: between(1, 60_000),
  },
  ownLogprobs: {
    name: 'QIS_OWN_LOGPROBS',
    default: 'off',
    help: "whether chat completions are asked for logprobs that the client does not want, to know the model's own confidence; they are taken out of the answer again: on or off",
    parse: onOff,
  },
} satisfies { [K in keyof UsesConfig]: Variable<NonNullable<UsesConfig[K]>> }
