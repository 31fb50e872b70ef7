/** What the router is told of sharing, from settings and from the domains that are configured. */
import { type DisclosureProfile, profiles } from '../router/disclosure.ts'
import { rootLabel } from '../router/keyspace.ts'
import type { Declared } from '../router/labels.ts'
import type { RouterOptions } from '../router/router.ts'
import type { SharingConfig } from './config/sharing.ts'
import { ConfigInvalidError } from './config.ts'
import { DEFAULT_DOMAIN } from './domain.ts'

/** Each is 256 topics to hear and 256 records to keep in the DHT. */
const MAX_WHOLE_DOMAINS = 8

/**
 * @param configured the names of the domains that requests are told apart by
 * @throws {ConfigInvalidError} for more whole domains than a node can listen to
 */
export function sharingOptions(
  config: SharingConfig,
  configured: readonly string[],
): Pick<RouterOptions, 'mode' | 'profile' | 'domains' | 'interest'> {
  const { dailyCap: presetCap, ...preset }: DisclosureProfile = profiles[config.profile]
  const dailyCap = config.dailyCap ?? presetCap ?? 0
  const interest = config.interest ?? preset.interest ?? 'matched'
  const never = config.privateDomains
  const only =
    config.shareDomains.length > 0
      ? config.shareDomains
      : interest === 'domain'
        ? [DEFAULT_DOMAIN, ...configured]
        : undefined
  const labels = new Set(only?.map(rootLabel))
  if (interest === 'domain' && labels.size > MAX_WHOLE_DOMAINS) {
    throw new ConfigInvalidError(
      `QIS_SHARE_DOMAINS must name domains under at most ${MAX_WHOLE_DOMAINS} first labels, not ${labels.size}, since all of their traffic is asked for (QIS_INTEREST, QIS_PROFILE)`,
    )
  }
  return {
    mode: config.mode,
    profile: { ...preset, k: Math.max(preset.k, config.k), ...(dailyCap > 0 && { dailyCap }) },
    interest,
    domains: { only, never },
  }
}

/** @param known names of the domains that requests are told apart by, and of models, as they are at each look */
export function declaredLabels(
  { shareDomains, shareStrategies }: Pick<SharingConfig, 'shareDomains' | 'shareStrategies'>,
  { domains, model }: { domains(): readonly string[]; model: Declared['model'] },
): Declared {
  return {
    domain: name => shareDomains.includes(name) || domains().includes(name),
    strategy: name => shareStrategies.includes(name),
    model,
  }
}
