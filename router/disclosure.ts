/** The one door out: decides whether, how coarse and when an outcome leaves. Pure but for the dice it is given. */
import { type Declared, labelsUnder } from './labels.ts'
import type { Outcome } from './outcome.ts'
import { expiresAt, floorToHour, type Packet } from './packet.ts'
import { type Epsilon, randomised } from './randomised-response.ts'

/** `matched`: packets about the kinds of question asked here; `domain`: all of some domains, whatever is asked here. */
export type Interest = 'matched' | 'domain'

export interface DisclosureProfile {
  /** At least this many distinct reference texts must share the disclosed prefix; 1 discloses the full code. */
  k: number
  /** Mean and cap of the random delay before departure, seconds. */
  delayMeanS: number
  delayCapS: number
  /** Of randomised response; absent to tell signals as they were observed. */
  epsilon?: Epsilon
  /** The model's own confidence is told in so many steps; absent to leave it out. */
  confidenceSteps?: number
  /** Packets that leave under one key in 24 hours at most. @default no cap */
  dailyCap?: number
  /** @default 'matched' */
  interest?: Interest
  /** Only labels that somebody here has declared are told; absent to tell those of clients as they are. */
  labels?: 'declared'
}

export const profiles = {
  /** Demo and lab: labels too are told as clients write them. */
  open: { k: 1, delayMeanS: 0, delayCapS: 0, confidenceSteps: 20 },
  standard: { k: 20, delayMeanS: 600, delayCapS: 3600, dailyCap: 100, labels: 'declared' },
  clinical: {
    k: 50,
    delayMeanS: 600,
    delayCapS: 3600,
    dailyCap: 50,
    epsilon: 2,
    interest: 'domain',
    labels: 'declared',
  },
} as const satisfies Record<string, DisclosureProfile>
export type ProfileName = keyof typeof profiles

/** Each name stands for the domain and for what is under it: `clinical` for `clinical.oncology` too. */
export interface SharedDomains {
  /** All but these stay here. @default all domains are shared */
  only?: readonly string[] | undefined
  /** These stay here, whatever `only` says. */
  never?: readonly string[] | undefined
}

/** Whether others may learn that there are questions of this domain here: by packets, or by what is listened for. */
export function isShared(domain: string, { only, never = [] }: SharedDomains): boolean {
  const under = (name: string) => domain === name || domain.startsWith(`${name}.`)
  return !never.some(under) && (only === undefined || only.some(under))
}

/** The name under which others may learn that there are questions of this domain here; undefined when they may not. */
export function toldDomain(
  domain: string,
  { profile, domains = {}, declared }: Omit<DisclosureOptions, 'ttlHours'>,
): string | undefined {
  const told = labelsUnder(profile, declared).domain(domain)
  // What stays here must not leave under a wider name, nor what may leave under one that stays here.
  return isShared(domain, domains) && isShared(told, domains) ? told : undefined
}

/**
 * Why nothing leaves: too few reference texts alike; a domain that stays here; a model that no server is known to have; a rule's
 * guess, which no noise would hide; what has left says the same, or stands.
 */
export type Withheld = 'rare' | 'domain' | 'model' | 'guess' | 'unchanged'

/** Reference counts exist for prefixes of two digits, and of these many. */
const FURTHER_DIGITS = [3, 4] as const
const DIGITS = [...'0123456789abcdef']

/** What `referenceTexts` of fingerprint.ts tells about one code. */
export type CountReference = (code: string, digits: 2 | 3 | 4) => number

export interface DisclosureComponents {
  space: string
  referenceTexts: CountReference
  /** Uniform in [0, 1), always the same for the same answer, and nobody else's to know. */
  noise(answer: string): number
}

export interface DisclosureOptions {
  profile: DisclosureProfile
  domains?: SharedDomains | undefined
  /** Labels that may be told beside those that are shipped. @default none */
  declared?: Declared | undefined
  ttlHours: number
}

/**
 * The packet that may leave for this outcome, or why none may. Its fingerprint is cut so that at least
 * k reference texts would leave with the same (k-map, Sweeney 2001: every disclosed class holds at least k members of a
 * reference population).
 * Its revision counts what has left, not how often minds have changed here.
 *
 * @param left packets about this answer that have left before, oldest first
 */
export function disclose(
  outcome: Outcome,
  { space, referenceTexts, noise }: DisclosureComponents,
  options: DisclosureOptions,
  left: readonly Packet[] = [],
): Packet | Withheld {
  const { profile, declared, ttlHours } = options
  const last = left.at(-1)
  const revision = last ? last.revision + 1 : 0
  if (outcome.withdrawn) {
    return last && !last.withdrawn ? withdrawalOf(last, { ...outcome, revision }, ttlHours) : 'unchanged'
  }
  const domain = toldDomain(outcome.domain, options)
  if (domain === undefined) return 'domain'
  const labels = labelsUnder(profile, declared)
  const model = labels.model(outcome.model)
  if (model === undefined) return 'model'
  const code = coarsened(outcome.code, profile.k, referenceTexts)
  if (code === undefined) return 'rare'
  const { confidence, correction, strategy: done, ...bare } = outcome
  const strategy = done === undefined ? undefined : labels.strategy(done)
  const packet: Packet = { ...bare, domain, model, revision, code, space, ttlHours, time: floorToHour(outcome.time) }
  const { epsilon, confidenceSteps } = profile
  if (epsilon === undefined) {
    return {
      ...packet,
      ...(confidence !== undefined &&
        confidenceSteps !== undefined && { confidence: Math.round(confidence * confidenceSteps) / confidenceSteps }),
      ...(correction !== undefined && { correction }),
      ...(strategy !== undefined && { strategy }),
    }
  }
  // Rules find fault and never praise: that one of them spoke says what it said, whatever the bit.
  if (outcome.observer === 'i') return 'guess'
  // One bit an answer: a second, for another observer, a changed mind, or after a withdrawal, would tell of the first. The
  // rest of the outcome would undo the noise, in clear: a correction says that the answer was bad.
  if (last) return 'unchanged'
  return { ...packet, signal: randomised(outcome.signal, epsilon, noise(outcome.answer)), epsilon }
}

/** Takes back what left, and says nothing else: not even how the answer turned out. */
function withdrawalOf(last: Packet, { revision, time }: Outcome, ttlHours: number): Packet {
  const { confidence: _, correction: __, strategy: ___, ...bare } = last
  const withdrawal = { ...bare, signal: 0, revision, withdrawn: true, time: floorToHour(time), ttlHours }
  // It must not expire before what it takes back.
  const missing = expiresAt(last) - expiresAt(withdrawal)
  return missing > 0 ? { ...withdrawal, ttlHours: ttlHours + missing / 3600 } : withdrawal
}

/**
 * Whether a packet that was made under earlier settings may leave under these. Its model is not asked about again: servers come
 * and go, and a packet of a profile that does not ask has a longer code than those that do let go.
 */
export function mayStillLeave(
  packet: Packet,
  referenceTexts: CountReference,
  options: Omit<DisclosureOptions, 'ttlHours'>,
): boolean {
  // Nothing new is said by taking back.
  if (packet.withdrawn) return true
  const { epsilon = Number.POSITIVE_INFINITY, strategy } = packet
  const { profile, declared } = options
  return (
    toldDomain(packet.domain, options) === packet.domain &&
    (strategy === undefined || labelsUnder(profile, declared).strategy(strategy) === strategy) &&
    (packet.confidence === undefined || profile.confidenceSteps !== undefined) &&
    (packet.observer !== 'i' || profile.epsilon === undefined) &&
    packet.code.length <= (coarsened(packet.code, profile.k, referenceTexts)?.length ?? 0) &&
    epsilon <= (profile.epsilon ?? Number.POSITIVE_INFINITY)
  )
}

/**
 * When a packet leaves: after an exponential delay, so that its time does not tell whose question it was about.
 *
 * @param random uniform in [0, 1)
 * @param now Unix seconds
 */
export function departureTime({ delayMeanS, delayCapS }: DisclosureProfile, random: () => number, now: number): number {
  return Math.floor(now + Math.min(-Math.log(1 - random()) * delayMeanS, delayCapS))
}

/**
 * The longest prefix of a code that at least `k` reference texts share which are told by that prefix as well: whoever knows the
 * rule also knows which texts would have been told by more digits. Undefined when not even its cell is.
 */
export function coarsened(code: string, k: number, referenceTexts: CountReference): string | undefined {
  if (k <= 1) return code
  if (referenceTexts(code, 2) < k) return undefined
  let digits = 2
  for (const more of FURTHER_DIGITS) {
    if (code.length < more || !mayTell(code, more, k, referenceTexts)) break
    digits = more
  }
  return code.slice(0, digits)
}

/** Whether a prefix of so many digits may be told, where one digit less may. */
function mayTell(code: string, digits: 3 | 4, k: number, referenceTexts: CountReference): boolean {
  if (referenceTexts(code, digits) < k) return false
  const counts = DIGITS.map(last => referenceTexts(code.slice(0, digits - 1) + last, digits))
  const enough = counts.filter(count => count >= k)
  const stopping = counts.reduce((sum, count) => sum + (count < k ? count : 0), 0)
  if (enough.length === counts.length || stopping >= k) return true
  // Too few stop one digit earlier to be hidden among each other: the smallest of the others stops with them.
  return counts.indexOf(Math.min(...enough)) !== Number.parseInt(code.charAt(digits - 1), 16)
}
