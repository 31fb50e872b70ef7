/** Outcomes through the real way out, to the bytes that peers get, and read again as any peer reads them. */
import { createHmac } from 'node:crypto'
import { createDepartures } from '../../router/departures.ts'
import { type DisclosureProfile, type ProfileName, profiles } from '../../router/disclosure.ts'
import { referenceTexts } from '../../router/fingerprint.ts'
import type { Identity } from '../../router/identity.ts'
import type { Observer } from '../../router/outcome.ts'
import { openPacket, type Packet, sealPacket } from '../../router/packet.ts'
import type { Space } from '../../router/space.ts'

export interface Said {
  requestId: string
  code: string
  signal: number
  domain?: string
  confidence?: number
  observer?: Observer
  revision?: number
  withdrawn?: boolean
}

export interface Door {
  /** What others read of it; undefined when nothing leaves. */
  tell(said: Said): Promise<Packet | undefined>
}

const NOW = 500_000 * 3600

export function createDoor(
  { space, identity, random }: { space: Space; identity: Identity; random: () => number },
  name: ProfileName,
): Door {
  // The tags of the corpus stand for labels that are declared.
  const { labels: _, ...profile }: DisclosureProfile = profiles[name]
  const left = new Map<string, Packet[]>()
  const departures = createDepartures(
    {
      space: space.id,
      referenceTexts: (code, digits) => referenceTexts(space, code, digits),
      identity,
      store: { departures: async answer => left.get(answer) ?? [], waiting: async () => undefined },
      observer: { outcomeWithheld() {} },
      random,
      now: () => NOW,
    },
    { profile, ttlHours: 168 },
  )
  // As the router names answers.
  const secret = identity.secret('answer')
  return {
    async tell({ requestId, domain = 'general', observer = 'h', revision = 0, withdrawn = false, ...said }) {
      const answer = createHmac('sha256', secret).update(requestId).digest('hex').slice(0, 16)
      const common = { answer, domain, model: 'llama-3.1-8b', observer, revision, withdrawn, time: NOW }
      const entry = await departures.of({ ...said, ...common, intervention: 0 }, requestId)
      if (!entry) return undefined
      const { packet } = await openPacket(await sealPacket(entry.packet, identity.privateKey))
      left.set(answer, [...(left.get(answer) ?? []), packet])
      return packet
    },
  }
}
