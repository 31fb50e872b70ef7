/** What would leave of an outcome under each profile; nothing is sent, kept or told to anybody. */
import type { PrivateKey } from '@libp2p/interface'
import {
  type CountReference,
  type DisclosureProfile,
  disclose,
  type ProfileName,
  profiles,
  type SharedDomains,
  type Withheld,
} from './disclosure.ts'
import { keyOf } from './intake.ts'
import { toTopic } from './keyspace.ts'
import type { Declared } from './labels.ts'
import type { Outcome } from './outcome.ts'
import { encodePayload, sealPacket } from './packet.ts'
import { flipProbability } from './randomised-response.ts'

export interface DryRun {
  profile: ProfileName
  /** The payload that would be signed, or why none would. */
  payload?: string
  withheld?: Withheld
  /** Of the whole packet. */
  bytes?: number
  topic?: string
  /** Labels that are told otherwise than they were given; null for one that is left out. */
  otherwise?: { domain?: string; model?: string; strategy?: null }
  /** With randomised response: how probable it is that `os` is 1; the payload shows the likelier bit. */
  oneWithProbability?: number
  /** The packet would wait a random time, seconds. */
  delay?: { mean: number; atMost: number }
}

/**
 * @param key any; the length of a packet does not depend on it
 * @param k what profiles promise at least
 */
export async function dryRun(
  outcome: Outcome,
  { space, referenceTexts, key }: { space: string; referenceTexts: CountReference; key: PrivateKey },
  {
    domains,
    declared,
    k = 1,
    ttlHours = 168,
  }: { domains?: SharedDomains | undefined; declared?: Declared | undefined; k?: number; ttlHours?: number },
): Promise<DryRun[]> {
  return Promise.all(
    (Object.entries(profiles) as [ProfileName, DisclosureProfile][]).map(async ([name, profile]) => {
      const door = { space, referenceTexts, noise: () => 0.5 }
      const options = { profile: { ...profile, k: Math.max(profile.k, k) }, domains, declared, ttlHours }
      const packet = disclose(outcome, door, options)
      if (typeof packet === 'string') return { profile: name, withheld: packet }
      const { domain, model, strategy } = outcome
      const flip = profile.epsilon && flipProbability(profile.epsilon)
      return {
        profile: name,
        payload: encodePayload(packet),
        bytes: (await sealPacket(packet, key)).length,
        topic: toTopic(keyOf(space, packet)),
        otherwise: {
          ...(packet.domain !== domain && { domain: packet.domain }),
          ...(packet.model !== model && { model: packet.model }),
          // Beside noise no strategy is told, whatever it is.
          ...(strategy !== undefined &&
            packet.strategy === undefined &&
            profile.epsilon === undefined && { strategy: null }),
        },
        ...(flip !== undefined && { oneWithProbability: flip + (1 - 2 * flip) * outcome.signal }),
        delay: { mean: profile.delayMeanS, atMost: profile.delayCapS },
      }
    }),
  )
}
