/** Which domain a question belongs to: what the client says, else a rule, else what it is like. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Embedder } from '../embeddings/embedder.ts'
import type { Logger } from '../router/telemetry.ts'
import { hashedKey } from './domain/credential.ts'
import { createExamples, type Likeness } from './domain/examples.ts'
import type { DomainRules } from './domain/rules.ts'

/** Of questions about which nothing is known. */
export const DEFAULT_DOMAIN = 'general'
/** What metrics call domains that clients name and the configuration does not: clients may name any number. */
const OTHER = 'other'

export type DomainSource = 'client' | 'key' | 'path' | 'examples' | 'default'

export interface FoundDomain {
  name: string
  source: DomainSource
  /** Where the question was compared with examples: the nearest domain, also when it was not near enough. */
  nearest?: Likeness | undefined
}

export interface DomainQuestion {
  /** By the client, already checked. */
  said: string | undefined
  url: string
  headers: IncomingHttpHeaders
}

export interface Domains extends AsyncDisposable {
  /** Those that are configured. */
  readonly names: readonly string[]
  /** Costs no more than a hash and a dot product for each domain that has examples. */
  of(question: DomainQuestion, vector: Float32Array): FoundDomain
}

export interface DomainsComponents {
  embedder: Embedder
  /** Of the embedder's vectors. */
  mean: Float32Array
  logger: Logger
  /** @param label the domain's name, if the configuration has it; else `general` or `other` */
  onFound?: (label: string, source: DomainSource) => void
}

/** @param rules undefined where nothing is configured: then only the client can tell */
export async function createDomains(
  { embedder, mean, logger, onFound }: DomainsComponents,
  rules: DomainRules | undefined,
): Promise<Domains> {
  const entries = Object.entries(rules?.domains ?? {})
  const names = entries.map(([name]) => name)
  const labels = new Set([DEFAULT_DOMAIN, ...names])
  const byKey = new Map(
    entries.flatMap(([name, { keys_sha256 = [] }]) => keys_sha256.map(key => [key.toLowerCase(), name])),
  )
  const byPath = entries
    .flatMap(([name, { paths = [] }]) => paths.map(path => ({ name, path: path.replace(/\/+$/, '') })))
    // The longest is the most exact.
    .sort((a, b) => b.path.length - a.path.length)
  const examples = await createExamples(
    { embedder, mean, logger },
    {
      phrases: new Map(entries.map(([name, { examples = [] }]) => [name, examples])),
      threshold: rules?.threshold,
    },
  )

  function find({ said, url, headers }: DomainQuestion, vector: Float32Array): FoundDomain {
    if (said !== undefined) return { name: said, source: 'client' }
    const key = byKey.size > 0 ? hashedKey(headers) : undefined
    const owner = key === undefined ? undefined : byKey.get(key)
    if (owner !== undefined) return { name: owner, source: 'key' }
    const place = byPath.find(({ path }) => isUnder(url, path))
    if (place) return { name: place.name, source: 'path' }
    const nearest = examples.nearest(vector)
    if (nearest && nearest.similarity >= nearest.threshold) return { name: nearest.name, source: 'examples', nearest }
    return { name: DEFAULT_DOMAIN, source: 'default', nearest }
  }

  return {
    names,
    of(question, vector) {
      const found = find(question, vector)
      onFound?.(labels.has(found.name) ? found.name : OTHER, found.source)
      return found
    },
    [Symbol.asyncDispose]: () => examples[Symbol.asyncDispose](),
  }
}

/** `/clinic` and `/clinic/v1` are under `/clinic`, `/clinical` is not. */
function isUnder(url: string, path: string): boolean {
  if (!url.startsWith(path)) return false
  const next = url[path.length]
  return next === undefined || next === '/' || next === '?'
}
