/** What this node can tell of its peers: how it reaches each, what came by way of it, what it signed, how far it is believed. */
import type { EvidenceIndex } from './evidence.ts'
import { type HeldPacket, heldPacket } from './held-packet.ts'
import type { Connected, NetworkStatus } from './network/network.ts'
import type { Standing } from './synthesis/agreement.ts'
import type { RejectReason } from './telemetry.ts'

/** What became of the packets that one peer handed over, its own or others', since the start. */
export interface Handed {
  accepted: number
  /** By reason; `known` is no fault, since packets come by several ways. */
  refused: Partial<Record<RejectReason, number>>
}

export interface Peer {
  id: string
  /** Of the far end of each connection; empty when there is none now. */
  addresses: string[]
  /** Unix seconds; absent when not connected. */
  since?: number
  handed: Handed
  /** Live packets here that it has signed. */
  packets: number
  standing: Standing
}

export interface Peers {
  handed(from: string, result: 'accepted' | RejectReason): void
  /** The connected ones first, then those of whom most is held. */
  list(page: { offset: number; limit: number }): { total: number; peers: Peer[] }
  /** What they have said and still counts here, the last to arrive first; of one cell, 0..255, or of all. */
  packets(page: { cell?: number | undefined; offset: number; limit: number }): { total: number; packets: HeldPacket[] }
}

export interface PeersComponents {
  network: { status(): Pick<NetworkStatus, 'connected'> }
  evidence: Pick<EvidenceIndex, 'authors' | 'foreign' | 'standing'>
}

/** Peers whose doings are remembered; the one that handed something over longest ago is forgotten first. */
const MAX_REMEMBERED = 4_096

export function createPeers({ network, evidence }: PeersComponents, { maxRemembered = MAX_REMEMBERED } = {}): Peers {
  const accounts = new Map<string, Handed>()

  function describe(id: string, connected: Connected | undefined): Peer {
    return {
      id,
      addresses: connected?.addresses ?? [],
      ...(connected && { since: connected.since }),
      handed: accounts.get(id) ?? { accepted: 0, refused: {} },
      packets: evidence.authors.get(id)?.size ?? 0,
      standing: evidence.standing(id),
    }
  }

  return {
    handed(from, result) {
      const account = accounts.get(from) ?? { accepted: 0, refused: {} }
      if (result === 'accepted') account.accepted += 1
      else account.refused[result] = (account.refused[result] ?? 0) + 1
      accounts.delete(from)
      accounts.set(from, account)
      const [oldest] = accounts.keys()
      if (accounts.size > maxRemembered && oldest !== undefined) accounts.delete(oldest)
    },
    list({ offset, limit }) {
      const connected = new Map(network.status().connected.map(one => [one.id, one]))
      const packetsOf = (id: string) => evidence.authors.get(id)?.size ?? 0
      const ids = new Set([...connected.keys(), ...evidence.authors.keys()])
      const ranked = [...ids].sort(
        (a, b) => Number(connected.has(b)) - Number(connected.has(a)) || packetsOf(b) - packetsOf(a),
      )
      return {
        total: ranked.length,
        peers: ranked.slice(offset, offset + limit).map(id => describe(id, connected.get(id))),
      }
    },
    packets(page) {
      const { total, items } = evidence.foreign(page)
      return { total, packets: items.map(item => heldPacket(item, evidence.standing(item.author))) }
    },
  }
}
