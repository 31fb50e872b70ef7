/** Prepares what leaves: asks the one door out with what this node is, what it was told, and what has left before. */
import { createHmac } from 'node:crypto'
import {
  type CountReference,
  type DisclosureComponents,
  type DisclosureOptions,
  departureTime,
  disclose,
  mayStillLeave,
} from './disclosure.ts'
import type { Identity } from './identity.ts'
import { keyOf } from './intake.ts'
import type { Outcome } from './outcome.ts'
import type { Packet } from './packet.ts'
import type { OutboxEntry, Store } from './store/store.ts'
import type { RouterObserver } from './telemetry.ts'

export interface DeparturesComponents {
  /** Id of the space. */
  space: string
  referenceTexts: CountReference
  identity: Pick<Identity, 'secret'>
  store: Pick<Store, 'departures' | 'waiting'>
  observer: Pick<RouterObserver, 'outcomeWithheld'>
  random(): number
  /** Unix seconds. */
  now(): number
}

export interface Departures {
  /**
   * What is to leave about an answer now that this is its outcome: most often that. Undefined when nothing is; the observer
   * is told when the outcome stays here.
   */
  of(outcome: Outcome, requestId: string): Promise<OutboxEntry | undefined>
  /** Whether a packet that waits, perhaps since settings were others, may leave now. */
  allow(packet: Packet): boolean
}

export function createDepartures(components: DeparturesComponents, options: DisclosureOptions): Departures {
  const { space, referenceTexts, identity, store, observer, random, now } = components
  const door: DisclosureComponents = { space, referenceTexts, noise: createNoise(identity.secret('noise')) }

  /** A withdrawal, and what has left but reached nobody, goes on waiting, whatever stays here after it. */
  async function stillWaiting(answer: string, last: Packet | undefined): Promise<OutboxEntry | undefined> {
    const entry = last && (await store.waiting(answer))
    return entry && (entry.packet.withdrawn || entry.packet.revision <= last.revision) ? entry : undefined
  }

  return {
    async of(outcome, requestId) {
      const left = outcome.revision === 0 ? [] : await store.departures(outcome.answer)
      const packet = disclose(outcome, door, options, left)
      if (typeof packet !== 'string') {
        return { key: keyOf(space, packet), packet, requestId, dueAt: departureTime(options.profile, random, now()) }
      }
      if (packet !== 'unchanged') observer.outcomeWithheld(packet)
      return stillWaiting(outcome.answer, left.at(-1))
    },
    allow: packet => mayStillLeave(packet, referenceTexts, options),
  }
}

/** Dice that fall the same way for the same answer, whoever speaks of it, also after a restart, or a database restored. */
export function createNoise(secret: Buffer): DisclosureComponents['noise'] {
  return answer => createHmac('sha256', secret).update(answer).digest().readUIntBE(0, 6) / 2 ** 48
}
