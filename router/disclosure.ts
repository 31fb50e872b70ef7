/** The one door out: decides whether, how coarse and when an outcome leaves. Pure but for the dice it is given. */
import type { Outcome } from './outcome.ts'
import { floorToHour, type Packet } from './packet.ts'

export interface DisclosureProfile {
  /** At least this many distinct reference texts must share the disclosed prefix; 1 discloses the full code. */
  k: number
  /** Mean and cap of the random delay before departure, seconds. */
  delayMeanS: number
  delayCapS: number
}

export const profiles = {
  /** Demo and lab. */
  open: { k: 1, delayMeanS: 0, delayCapS: 0 },
  standard: { k: 20, delayMeanS: 600, delayCapS: 3600 },
} as const satisfies Record<string, DisclosureProfile>
export type ProfileName = keyof typeof profiles

export interface Disclosed {
  packet: Packet
  /** Unix seconds. */
  dueAt: number
}

/** Reference counts exist for prefixes of these many digits, deepest first. */
const COUNTED_DIGITS = [4, 3, 2] as const

/** What `referenceTexts` of fingerprint.ts tells about one code. */
export type CountReference = (code: string, digits: 2 | 3 | 4) => number

export interface DisclosureComponents {
  space: string
  referenceTexts: CountReference
  /** Uniform in [0, 1). */
  random(): number
}

/**
 * The packet that may leave for this outcome, or undefined when too few reference texts are like its question
 * (k-map, Sweeney 2001: every disclosed class holds at least k members of a reference population).
 *
 * @param now Unix seconds
 */
export function disclose(
  outcome: Outcome,
  { space, referenceTexts, random }: DisclosureComponents,
  profile: DisclosureProfile,
  ttlHours: number,
  now: number,
): Disclosed | undefined {
  const code = coarsened(outcome.code, profile.k, referenceTexts)
  if (code === undefined) return undefined
  const { confidence, ...rest } = outcome
  return {
    packet: {
      ...rest,
      ...(confidence !== undefined && { confidence: Math.round(confidence * 20) / 20 }),
      code,
      space,
      ttlHours,
      time: floorToHour(outcome.time),
    },
    dueAt: Math.floor(now + Math.min(-Math.log(1 - random()) * profile.delayMeanS, profile.delayCapS)),
  }
}

/** The longest prefix of a code that at least `k` reference texts share; undefined when not even its cell is. */
export function coarsened(code: string, k: number, referenceTexts: CountReference): string | undefined {
  if (k <= 1) return code
  const digits = COUNTED_DIGITS.find(depth => code.length >= depth && referenceTexts(code, depth) >= k)
  return digits && code.slice(0, digits)
}
