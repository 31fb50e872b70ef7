/** Sends what is due: signs it, writes it into the ledger, hands it to peers, and keeps it for later when there are none. */
import { isDeepStrictEqual } from 'node:util'
import type { Departures } from './departures.ts'
import type { Identity } from './identity.ts'
import type { Link } from './link.ts'
import type { Network } from './network/network.ts'
import { sealPacket } from './packet.ts'
import type { OutboxEntry, Store, StoredPacket } from './store/store.ts'
import type { Logger, RouterObserver } from './telemetry.ts'
import type { Turns } from './turns.ts'

export interface OutboxComponents {
  store: Pick<Store, 'due' | 'waiting' | 'cancelDeparture' | 'departedAt' | 'departed' | 'delivered'>
  network: Pick<Network, 'publish'>
  identity: Identity
  logger: Logger
  observer: Pick<RouterObserver, 'packetSent' | 'outcomeWithheld' | 'departureDeferred'>
  /** Unix seconds. */
  now(): number
  /** Of answers whose outcomes are being changed. */
  turns: Pick<Turns, 'take'>
  departures: Pick<Departures, 'allow'>
  /** While there is no network, nothing may look as if it had left. */
  link: Pick<Link, 'up'>
  /** Aborted when no more may leave. */
  stopping: AbortSignal
}

export interface Outbox {
  /** Begins to send what is due, if it is not at it already. */
  flush(): void
  /** Resolves when nothing is being sent. */
  settled(): Promise<void>
}

/** A packet handed to nobody, or that could not be sent, is due again after this long. */
const RETRY_S = 30
const BATCH = 50
const DAY_S = 24 * 3600

/** @param options.dailyCap packets under one key in 24 hours; those about further answers wait for their turn */
export function createOutbox(components: OutboxComponents, options: { dailyCap?: number | undefined } = {}): Outbox {
  const { store, network, identity, logger, observer, now, turns, departures, link, stopping } = components
  const { dailyCap } = options
  let flushing: Promise<void> | undefined
  let flushAgain = false

  /** Unix seconds until which a packet has to wait, since its key has had its share; one that goes again has not. */
  async function fullUntil({ key, packet }: OutboxEntry): Promise<number | undefined> {
    if (dailyCap === undefined || packet.withdrawn) return undefined
    const end = ((await store.departedAt(key, packet.answer, dailyCap)) ?? Number.NEGATIVE_INFINITY) + DAY_S
    return end > now() ? end : undefined
  }

  async function send(entry: OutboxEntry): Promise<void> {
    const { key, packet, requestId } = entry
    if (!departures.allow(packet)) {
      await store.cancelDeparture(packet.answer)
      observer.outcomeWithheld('settings')
      return
    }
    const waits = await fullUntil(entry)
    if (waits !== undefined) {
      await store.delivered(packet, 0, waits)
      observer.departureDeferred()
      return
    }
    const bytes = await sealPacket(packet, identity.privateKey)
    const stored: StoredPacket = { key, author: identity.id, packet, bytes }
    const leaves = await turns.take(packet.answer, async () => {
      // Minds may have changed since the outbox was read: what was withdrawn or replaced stays here.
      if (!isDeepStrictEqual(await store.waiting(packet.answer), entry)) return false
      // The ledger comes first: nothing may leave that it does not show.
      await store.departed(stored, now(), requestId)
      return true
    })
    if (!leaves) return
    const recipients = await network.publish(key, bytes, { signal: stopping })
    await store.delivered(packet, recipients, now() + RETRY_S)
    observer.packetSent(recipients, bytes.length)
  }

  async function sendAll(): Promise<void> {
    do {
      flushAgain = false
      for (const entry of await store.due(now(), BATCH)) {
        if (stopping.aborted || !link.up) return
        try {
          await send(entry)
        } catch (error) {
          if (stopping.aborted) return
          // One that cannot be sent must not keep the others waiting.
          logger.warn({ err: error }, 'a packet could not be sent and waits in the outbox')
          await store.delivered(entry.packet, 0, now() + RETRY_S)
        }
      }
    } while (flushAgain)
  }

  return {
    flush() {
      if (stopping.aborted || !link.up) return
      flushAgain = true
      flushing ??= sendAll()
        .catch(error => logger.warn({ err: error }, 'the outbox cannot be read now'))
        .finally(() => {
          flushing = undefined
        })
    },
    async settled() {
      await flushing
    },
  }
}
