/** What `qis/auto` goes by: the candidates, and the policies that weigh their prices, by name and by domain. */
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { DOMAIN_PATTERN } from '../../router/outcome.ts'
import type { RouteCandidate, UsesConfig } from '../config/uses.ts'
import { ConfigInvalidError } from '../config.ts'
import { checkedAgainst, readYamlFile } from '../yaml-file.ts'

export interface Policy {
  name: string
  candidates: readonly RouteCandidate[]
  priceWeight: number
  /** Undefined to take the best known always. */
  explore: number | undefined
}

export interface Policies {
  readonly candidates: readonly RouteCandidate[]
  /** By its name; undefined when there is none of that name. */
  named(name: string): Policy | undefined
  /** Of the nearest domain above or at this one that has one, else the default. */
  of(domain: string): Policy
  readonly names: readonly string[]
}

export const DEFAULT_POLICY = 'default'
const POLICY_PATTERN = '^[a-z0-9][a-z0-9._-]{0,31}$'
const MAX_POLICIES = 64

const Entry = Type.Object(
  {
    price_weight: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 10,
        description: 'must be a number from 0, where price does not matter, to 10',
      }),
    ),
    explore: Type.Optional(
      Type.Union([Type.Literal('off'), Type.Literal(false), Type.Number({ minimum: 0, maximum: 1 })], {
        description: 'must be a share from 0 to 1, or off',
      }),
    ),
    models: Type.Optional(
      Type.Array(Type.String({ description: 'must be a model of QIS_ROUTE' }), {
        minItems: 1,
        description: 'must be a list of models of QIS_ROUTE',
      }),
    ),
  },
  { additionalProperties: false, description: 'must hold price_weight, explore or models, and nothing else' },
)

const File = Type.Object(
  {
    policies: Type.Record(Type.String({ pattern: POLICY_PATTERN }), Entry, {
      additionalProperties: false,
      minProperties: 1,
      maxProperties: MAX_POLICIES,
      description: `must hold 1 to ${MAX_POLICIES} policies, each named by at most 32 characters of a-z, 0-9, dot, dash and underscore`,
    }),
    domains: Type.Optional(
      Type.Record(
        Type.String({ pattern: DOMAIN_PATTERN }),
        Type.String({ description: 'must be the name of a policy' }),
        { additionalProperties: false, description: 'must hold a policy for each domain' },
      ),
    ),
  },
  { additionalProperties: false, description: 'must hold policies, perhaps domains, and nothing else' },
)
const fileCheck = TypeCompiler.Compile(File)

type RouteConfig = Pick<UsesConfig, 'route' | 'routePriceWeight' | 'routeExplore' | 'routePolicies'>

/** @throws {ConfigInvalidError} naming the file and the field that is not as it must be */
export async function readPolicies(config: RouteConfig): Promise<Policies> {
  const { routePolicies: file } = config
  if (file === undefined) return createPolicies(config, undefined, '')
  const where = `QIS_ROUTE_POLICIES: ${file}`
  return createPolicies(config, checkedAgainst(fileCheck, await readYamlFile('QIS_ROUTE_POLICIES', file), where), where)
}

export function createPolicies(
  { route, routePriceWeight, routeExplore }: Omit<RouteConfig, 'routePolicies'>,
  file: Static<typeof File> | undefined,
  where: string,
): Policies {
  const common = { candidates: route, priceWeight: routePriceWeight, explore: share(routeExplore) }
  const byName = new Map<string, Policy>([[DEFAULT_POLICY, { name: DEFAULT_POLICY, ...common }]])
  for (const [name, { price_weight, explore, models }] of Object.entries(file?.policies ?? {})) {
    byName.set(name, {
      name,
      candidates: models ? models.map((model, at) => candidate(model, `policies.${name}.models[${at}]`)) : route,
      priceWeight: price_weight ?? common.priceWeight,
      explore: explore === undefined ? common.explore : share(explore),
    })
  }
  const byDomain = new Map<string, Policy>()
  for (const [domain, name] of Object.entries(file?.domains ?? {})) {
    const policy = byName.get(name)
    if (!policy) throw new ConfigInvalidError(`${where}: domains.${domain} must be the name of a policy`)
    byDomain.set(domain, policy)
  }
  const standard = byName.get(DEFAULT_POLICY) as Policy

  function candidate(name: string, field: string): RouteCandidate {
    const found = route.find(one => one.name === name)
    if (!found) throw new ConfigInvalidError(`${where}: ${field} must be a model of QIS_ROUTE`)
    return found
  }

  return {
    candidates: route,
    named: name => byName.get(name),
    of(domain) {
      for (let above = domain; above !== ''; above = above.slice(0, Math.max(0, above.lastIndexOf('.')))) {
        const policy = byDomain.get(above)
        if (policy) return policy
      }
      return standard
    },
    names: [...byName.keys()],
  }
}

/** YAML reads `off` as text, some as false. */
function share(explore: number | 'off' | false): number | undefined {
  return typeof explore === 'number' ? explore : undefined
}
