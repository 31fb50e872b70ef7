/** The settings of a privacy officer: what may leave, how coarsely, and what the network learns by our listening. */
import { type Interest, type ProfileName, profiles } from '../../router/disclosure.ts'
import { DOMAIN_PATTERN, STRATEGY_PATTERN } from '../../router/outcome.ts'
import type { NetworkMode } from '../../router/router.ts'
import { kind, list, listSchema, oneOf, type Variable, whole } from './variable.ts'

export interface SharingConfig {
  mode: NetworkMode
  profile: ProfileName
  /** Reference questions that share what is told of one at least, where the profile does not promise more. */
  k: number
  /** Undefined for the profile's own. */
  interest: Interest | undefined
  /** Only these domains, and what is under them, leave or are listened for; empty for all. */
  shareDomains: string[]
  /** These, and what is under them, never. */
  privateDomains: string[]
  /** Labels of strategies that may be told; of each other one nothing is. */
  shareStrategies: string[]
  /** Packets of one kind of question a day; 0 for no cap, undefined for the profile's own. */
  dailyCap: number | undefined
}

const domainPattern = new RegExp(DOMAIN_PATTERN)
const strategyPattern = new RegExp(STRATEGY_PATTERN)

const domains = kind(listSchema(), text => {
  const names = list(text)
  if (names.every(name => domainPattern.test(name))) return names
  throw new Error('domains by comma, like clinical, legal.tax')
})

const strategies = kind(listSchema(), text => {
  const names = list(text)
  if (names.every(name => strategyPattern.test(name))) return names
  throw new Error('labels of at most 16 characters by comma, like faq, forum')
})

export const sharingVariables = {
  mode: { name: 'QIS_MODE', default: 'share', help: 'off, receive or share', parse: oneOf('off', 'receive', 'share') },
  profile: {
    name: 'QIS_PROFILE',
    default: 'standard',
    help: 'how coarsely outcomes leave: standard; clinical (coarser still, only ratings by people and evaluators and those with noise, and what is listened for tells no more than the domains); or open, for labs',
    parse: oneOf(...(Object.keys(profiles) as ProfileName[])),
  },
  k: {
    name: 'QIS_K',
    default: '1',
    help: 'so many of 200,000 public questions at least share what leaves of a question, where the profile does not promise more (standard 20, clinical 50); it is what hides a question from who has a list of likely ones',
    parse: whole(1, 200_000),
  },
  interest: {
    name: 'QIS_INTEREST',
    help: 'which packets to ask peers for: matched (about what is asked here: least traffic) or domain (all of QIS_SHARE_DOMAINS: tells no more than the domains); the profile decides when unset',
    parse: oneOf<Interest>('matched', 'domain'),
  },
  shareDomains: {
    name: 'QIS_SHARE_DOMAINS',
    default: '',
    help: 'only outcomes of these domains leave, by comma, each with what is under it; all when empty, but for interest domain: then general and those of QIS_DOMAINS',
    parse: domains,
  },
  privateDomains: {
    name: 'QIS_PRIVATE_DOMAINS',
    default: '',
    help: 'outcomes of these domains never leave, by comma, each with what is under it',
    parse: domains,
  },
  shareStrategies: {
    name: 'QIS_SHARE_STRATEGIES',
    default: '',
    help: 'strategies (x-qis-strategy) that packets may name, by comma, also joined by dots; others are left out of them, but for the profile open',
    parse: strategies,
  },
  dailyCap: {
    name: 'QIS_DAILY_CAP',
    help: 'packets about one kind of question that leave in 24 hours at most, the rest waits; 0 for no cap; the profile decides when unset',
    parse: whole(0, 1_000_000),
  },
} satisfies { [K in keyof SharingConfig]: Variable<NonNullable<SharingConfig[K]>> }
