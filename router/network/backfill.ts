/** Decides whom to ask for a key's packets, and when, so that newcomers and returning peers catch up without a storm. */
import type { Connection, PeerId } from '@libp2p/interface'
import type { RoutingKey } from '../keyspace.ts'
import type { Logger } from '../telemetry.ts'
import type { Background } from './background.ts'
import { packetId } from './checks.ts'
import { deadline } from './deadline.ts'
import type { Exchange } from './exchange.ts'
import type { Verdict } from './network.ts'

export interface Backfill {
  /** Asks up to `holders` of the peers that hold `key`. Resolves to how many different packets came. Never rejects. */
  fill(key: RoutingKey, signal?: AbortSignal): Promise<number>
  /** Asks one peer in the background, unless it or enough others were asked lately; another time when that fails. */
  refill(key: RoutingKey, peer: PeerId): void
  /** Forgets whom it asked for `key`. */
  forget(key: RoutingKey): void
  /** The peer is gone: when it comes back it may be asked again, for what it heard meanwhile. */
  lose(peer: PeerId): void
}

export interface BackfillOptions {
  /** Peers asked for one key. */
  holders: number
  /** A fill that takes longer ends with what it has. */
  backfillDeadlineMs: number
  /** Within this time a key is refilled from at most `holders` peers, and from none twice. */
  refillMs: number
}

const MAX_BROKEN_OFF = 1024
/** Pauses before what could not be had is asked for again, in shares of `refillMs`. */
const RETRIES = [1 / 30, 1 / 6, 1]

export function createBackfill(
  components: {
    exchange: Exchange
    background: Background
    /** Judges one packet; never throws. */
    judge(peer: PeerId, key: RoutingKey, bytes: Uint8Array): Promise<Verdict>
    /** Connected peers that joined the key. */
    subscribers(key: RoutingKey): PeerId[]
    /** Other peers that say they hold the key. */
    find(key: RoutingKey, signal: AbortSignal): AsyncIterable<PeerId>
    connect(peer: PeerId, signal: AbortSignal): Promise<Connection>
    shunned(peer: PeerId): boolean
    now(): number
    logger: Logger
  },
  options: BackfillOptions,
): Backfill {
  const { exchange, background, judge, subscribers, find, connect, shunned, now, logger } = components
  const { holders, backfillDeadlineMs, refillMs } = options
  /** At most `holders` entries a key, and only for keys that were not forgotten. */
  const asked = new Map<RoutingKey, { peer: string; at: number; gone: boolean }[]>()
  /** How many packets a peer had handed over for a key when it was broken off. */
  const brokenOff = new Map<string, number>()

  /** Adds the ids of what arrives to `seen`; what is there already is not judged again. Returns how many were accepted. */
  async function take(
    page: readonly Uint8Array[],
    key: RoutingKey,
    peer: PeerId,
    seen: Set<string>,
    signal: AbortSignal,
  ): Promise<number> {
    let accepted = 0
    for (const bytes of page) {
      const id = Buffer.from(packetId(bytes)).toString('latin1')
      if (seen.has(id)) continue
      seen.add(id)
      if ((await judge(peer, key, bytes)) === 'accept') accepted += 1
      if (shunned(peer)) throw new Error('this peer is shunned')
      signal.throwIfAborted()
    }
    return accepted
  }

  /** Goes on where it was broken off, once it has what came on top since then. */
  async function ask(key: RoutingKey, peer: PeerId, seen: Set<string>, signal: AbortSignal): Promise<void> {
    const connection = await connect(peer, signal)
    const place = `${key}/${peer}`
    let reached = brokenOff.get(place) ?? 0
    if (reached > 0) {
      for await (const page of exchange.pages(connection, key, signal)) {
        if ((await take(page, key, peer, seen, signal)) === 0) break
      }
    }
    for await (const page of exchange.pages(connection, key, signal, reached)) {
      await take(page, key, peer, seen, signal)
      reached += page.length
      note(place, reached)
    }
    brokenOff.delete(place)
  }

  function note(place: string, reached: number): void {
    brokenOff.delete(place)
    brokenOff.set(place, reached)
    if (brokenOff.size <= MAX_BROKEN_OFF) return
    for (const oldest of brokenOff.keys()) {
      brokenOff.delete(oldest)
      return
    }
  }

  async function* candidates(key: RoutingKey, signal: AbortSignal): AsyncGenerator<PeerId, void> {
    const offered = new Set<string>()
    for (const peer of shuffled(subscribers(key))) {
      offered.add(peer.toString())
      yield peer
    }
    for await (const peer of find(key, signal)) {
      if (!offered.has(peer.toString())) yield peer
    }
  }

  function refill(key: RoutingKey, peer: PeerId, tries: number): void {
    const since = now() - refillMs
    const recent = (asked.get(key) ?? []).filter(entry => entry.at > since)
    const id = peer.toString()
    if (recent.length >= holders || recent.some(entry => entry.peer === id && !entry.gone)) return
    const entry = { peer: id, at: now(), gone: false }
    asked.set(key, [...recent, entry])
    background.run(`refill ${key} ${id}`, async signal => {
      if (!asked.has(key)) return
      try {
        await ask(key, peer, new Set(), deadline(backfillDeadlineMs, signal))
      } catch (error) {
        // who did not answer takes no other's place
        const others = asked.get(key)?.filter(other => other !== entry)
        if (others !== undefined) asked.set(key, others)
        if (!shunned(peer)) again(key, peer, tries)
        throw error
      }
    })
  }

  /** A peer that is busy or slow now must not leave a gap until the next tending: another is asked, or else the same. */
  function again(key: RoutingKey, peer: PeerId, tries: number): void {
    const share = RETRIES[tries]
    if (share === undefined) return
    setTimeout(
      () => {
        const entries = asked.get(key)
        if (entries === undefined) return
        const there = subscribers(key)
        const untried = there.filter(one => !one.equals(peer) && !entries.some(entry => entry.peer === one.toString()))
        const next = untried[0] ?? there.find(one => one.equals(peer))
        if (next !== undefined) refill(key, next, tries + 1)
      },
      share * refillMs * (0.5 + Math.random() / 2),
    ).unref()
  }

  return {
    async fill(key, outer) {
      const signal = deadline(backfillDeadlineMs, outer)
      const seen = new Set<string>()
      const source = candidates(key, signal)

      /** Goes on to the next candidate until one has answered. */
      async function askOne(): Promise<void> {
        for (;;) {
          signal.throwIfAborted()
          const { value: peer, done } = await source.next()
          if (done) return
          try {
            return await ask(key, peer, seen, signal)
          } catch (error) {
            logger.debug({ err: error, peer: peer.toString() }, 'could not backfill from this peer')
          }
        }
      }

      try {
        await Promise.allSettled(Array.from({ length: holders }, askOne))
      } finally {
        await source.return()
      }
      return seen.size
    },
    refill: (key, peer) => refill(key, peer, 0),
    forget(key) {
      asked.delete(key)
    },
    lose(peer) {
      const id = peer.toString()
      for (const entries of asked.values()) for (const entry of entries) entry.gone ||= entry.peer === id
    },
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map(item => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
