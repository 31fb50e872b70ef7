/** What may be told of the labels that clients choose: a name that the operator or this program gave, never a client's own. */
import type { DisclosureProfile } from './disclosure.ts'
import { UNKNOWN_MODEL } from './model-variant.ts'

/** What is told of a domain that nobody has declared, and of none. */
export const GENERAL = 'general'

/**
 * Fields that need not be declared, so that sites meet which have agreed on nothing. These are the same words at every site and
 * tell nothing of one: none names an organisation, a place, a person or a client. As few as documents and examples need.
 */
export const SHIPPED_DOMAINS: ReadonlySet<string> = new Set([
  GENERAL,
  'business',
  'clinical',
  'code',
  'creative',
  'education',
  'engineering',
  'finance',
  'language',
  'legal',
  'math',
  'operations',
  'research',
  'science',
  'security',
  'support',
  'translation',
  'travel',
  'writing',
])

/** What the operator has named, directly or by choosing an LLM server. */
export interface Declared {
  /** Whether this is the name of a domain. */
  domain(name: string): boolean
  /** Whether this is the name of a strategy, or of a part of one. */
  strategy(name: string): boolean
  /** What a model is called by the server that answers for it; undefined when that is not known. Never waits. */
  model(variant: string): string | undefined
}

/** What may be told of each label. */
export interface Labels {
  domain(domain: string): string
  /** Undefined where nothing may be said of an answer of this model. */
  model(variant: string): string | undefined
  /** Undefined to leave it out. */
  strategy(strategy: string): string | undefined
}

/** For labs: what clients write there leaves. */
const asTheyAre: Labels = {
  domain: domain => domain,
  model: variant => variant,
  strategy: strategy => strategy,
}

const NOTHING: Declared = { domain: () => false, strategy: () => false, model: () => undefined }

/** @param declared beside what is shipped */
export function labelsUnder({ labels }: Pick<DisclosureProfile, 'labels'>, declared?: Declared): Labels {
  return labels === 'declared' ? declaredLabels(declared) : asTheyAre
}

/**
 * `clinical.john-doe` is told as `clinical`, `john-doe` as `general`; `faq.forum` where it, or all of its parts, are declared.
 */
function declaredLabels(declared: Declared = NOTHING): Labels {
  return {
    domain(domain) {
      for (let name = domain; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
        if (SHIPPED_DOMAINS.has(name) || declared.domain(name)) return name
      }
      return GENERAL
    },
    model: variant => declared.model(variant) ?? (variant === UNKNOWN_MODEL ? variant : undefined),
    strategy: strategy =>
      declared.strategy(strategy) || strategy.split('.').every(part => declared.strategy(part)) ? strategy : undefined,
  }
}
