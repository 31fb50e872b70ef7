/** Who may do what on which listener, decided once from the configuration. */
import type { Logger } from '../../router/telemetry.ts'
import { type AccessConfig, FEEDBACK_RIGHTS } from '../config/access.ts'
import type { Address } from '../config.ts'
import { isLoopback } from '../config.ts'
import type { Source } from '../feedback/opinion.ts'
import { type HostCheck, hostCheck } from './hosts.ts'
import { createTokenCheck, type TokenCheck, type TokenSetting } from './tokens.ts'

/** For whom a caller may speak, and whose feedback it may look at; first the one it speaks for unless it says otherwise. */
export type Voices = readonly Source[]

export interface Access {
  /**
   * Of the data listener, without a receipt; none for somebody who may not.
   *
   * @param origin of the page that sent it; undefined from programs
   */
  voices(authorization: string | undefined, origin: string | undefined): Voices
  /** A name for the holder of a token that is good for anything here; undefined when none was shown. */
  holder(authorization: string | undefined): string | undefined
  /** Of the admin listener. */
  admits(authorization: string | undefined): boolean
  mayScrape(authorization: string | undefined): boolean
  /** Undefined where any name will do. */
  dataHosts: HostCheck | undefined
  adminHosts: HostCheck | undefined
  /** Names that no foreign page can have. */
  ownHosts: HostCheck
}

/** An evaluator's token is for giving verdicts and nothing else: its holder asks, sees and changes nothing. */
export function mayLook(voices: Voices): boolean {
  return voices.length > 0 && !voices.includes('evaluator')
}

export const EVERYONE: Voices = ['user', 'app']
const PERSONS: Voices = ['user']
const EVALUATORS: Voices = ['evaluator']
const NOBODY: Voices = []

/** @throws {TokenFileInvalidError} */
export function createAccess(
  config: AccessConfig & { dataListen: Address; adminListen: Address },
  { logger }: { logger: Pick<Logger, 'warn'> },
): Access {
  const check = (setting: TokenSetting | undefined, allowed: readonly string[] = []): TokenCheck | undefined =>
    setting &&
    createTokenCheck(setting, {
      allowed,
      onError: error => logger.warn({ err: error }, 'a file of tokens cannot be read; nobody is admitted by it'),
    })
  const admin = check(config.adminToken)
  const evaluator = check(config.evaluatorToken)
  const feedback = check(config.feedbackToken, FEEDBACK_RIGHTS)
  const metrics = check(config.metricsToken)
  const open = feedback === undefined && isLoopback(config.dataListen)
  const ownHosts = hostCheck(config.hosts)
  const named = config.hosts.length > 0 ? ownHosts : undefined

  return {
    voices(authorization, origin) {
      if (evaluator?.(authorization)) return EVALUATORS
      const entry = feedback?.(authorization)
      if (entry) return entry.rights.length > 0 ? (entry.rights as Source[]) : EVERYONE
      if (admin?.(authorization)) return EVERYONE
      if (!open) return NOBODY
      // In front of a browser there is a person.
      return origin === undefined ? EVERYONE : PERSONS
    },
    holder(authorization) {
      if (authorization === undefined) return undefined
      const entry = admin?.(authorization) ?? feedback?.(authorization) ?? evaluator?.(authorization)
      return (entry ?? metrics?.(authorization))?.digest.toString('base64url')
    },
    admits: authorization => admin === undefined || admin(authorization) !== undefined,
    mayScrape: authorization => {
      const asked = metrics ?? admin
      return asked === undefined || asked(authorization) !== undefined || admin?.(authorization) !== undefined
    },
    dataHosts: named,
    // Whoever must show a token cannot be impersonated by a page.
    adminHosts: named ?? (isLoopback(config.adminListen) ? ownHosts : undefined),
    ownHosts,
  }
}
