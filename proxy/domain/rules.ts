/** The file that says which requests belong to which domain: its form, and errors that name the field at fault. */
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { DOMAIN_PATTERN } from '../../router/outcome.ts'
import { ConfigInvalidError } from '../config.ts'
import { checkedAgainst, readYamlFile } from '../yaml-file.ts'

const MAX_DOMAINS = 64
const MAX_KEYS = 10_000
const MAX_PATHS = 100
const MAX_EXAMPLES = 500
const MAX_EXAMPLE_CHARS = 8_000

/** The descriptions are what an operator is told when a field is not so. */
const Entry = Type.Object(
  {
    keys_sha256: Type.Optional(
      Type.Array(
        Type.String({
          pattern: '^[0-9a-fA-F]{64}$',
          description: 'must be the SHA-256 of an API key, 64 hex digits, and never the key itself',
        }),
        { maxItems: MAX_KEYS, description: `must be a list of at most ${MAX_KEYS} hashes` },
      ),
    ),
    paths: Type.Optional(
      Type.Array(
        Type.String({ pattern: '^/[^?#\\s]*$', description: 'must be the beginning of a path, such as /clinic' }),
        { maxItems: MAX_PATHS, description: `must be a list of at most ${MAX_PATHS} paths` },
      ),
    ),
    examples: Type.Optional(
      Type.Array(
        Type.String({
          minLength: 1,
          maxLength: MAX_EXAMPLE_CHARS,
          description: `must be a phrase of at most ${MAX_EXAMPLE_CHARS} characters`,
        }),
        { maxItems: MAX_EXAMPLES, description: `must be a list of at most ${MAX_EXAMPLES} phrases` },
      ),
    ),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'must hold keys_sha256, paths or examples, each a list, and nothing else',
  },
)

const Rules = Type.Object(
  {
    threshold: Type.Optional(
      Type.Number({ minimum: -1, maximum: 1, description: 'must be a cosine, a number from -1 to 1' }),
    ),
    domains: Type.Record(Type.String({ pattern: DOMAIN_PATTERN }), Entry, {
      additionalProperties: false,
      minProperties: 1,
      maxProperties: MAX_DOMAINS,
      description: `must hold 1 to ${MAX_DOMAINS} domains, each named by at most 32 characters of a-z, 0-9, dot, dash and underscore`,
    }),
  },
  { additionalProperties: false, description: 'must hold domains, perhaps threshold, and nothing else' },
)
export type DomainRules = Static<typeof Rules>
const rulesCheck = TypeCompiler.Compile(Rules)

/** @throws {ConfigInvalidError} naming the file, and the field that is not as it must be */
export async function readDomainRules(file: string): Promise<DomainRules> {
  return checkDomainRules(await readYamlFile('QIS_DOMAINS', file), `QIS_DOMAINS: ${file}`)
}

/** @throws {ConfigInvalidError} whose message begins with `where` */
export function checkDomainRules(value: unknown, where: string): DomainRules {
  const rules = checkedAgainst(rulesCheck, value, where)
  checkUnique(rules, 'keys_sha256', where)
  checkUnique(rules, 'paths', where)
  return rules
}

function checkUnique({ domains }: DomainRules, field: 'keys_sha256' | 'paths', where: string): void {
  const owners = new Map<string, string>()
  for (const [domain, entry] of Object.entries(domains)) {
    for (const [index, value] of (entry[field] ?? []).entries()) {
      const key = value.toLowerCase()
      const owner = owners.get(key)
      if (owner !== undefined && owner !== domain) {
        throw new ConfigInvalidError(`${where}: domains.${domain}.${field}[${index}] is one of ${owner} already`)
      }
      owners.set(key, domain)
    }
  }
}
