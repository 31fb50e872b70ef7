/** What outcomes near a question weigh where they are not evidence of a model's skill but of sources or corrections. Pure. */
import type { Near } from '../code-index.ts'
import { type Evidence, SELF } from '../evidence.ts'

export interface Weighed {
  evidence: Evidence
  /** In units of one fresh word of a person on the very same question. */
  weight: number
}

export interface NearbyQuery {
  domain: string
  /** Unix seconds. */
  now: number
}

/** Kernel width, as the estimator has it. */
const TAU = 0.1
const HALF_LIFE_S = 7 * 24 * 3600
const OTHER_DOMAIN = 0.5
/** The most that one peer, and that all peers together, may weigh: keys are free to make. */
const MAX_PEER = 2
const MAX_PEERS = 8

/** Whatever the model and whoever chose it; without what is withdrawn or has expired. Sound without any evidence: empty. */
export function weighNearby(neighbours: Iterable<Near<Evidence>>, { domain, now }: NearbyQuery): Weighed[] {
  const weighed: Weighed[] = []
  const byPeer = new Map<string, number>()
  for (const { item: evidence, similarity } of neighbours) {
    if (evidence.withdrawn || evidence.expires <= now) continue
    const recency = 2 ** (-Math.max(0, now - evidence.time) / HALF_LIFE_S)
    const place = evidence.domain === domain ? 1 : OTHER_DOMAIN
    const weight = Math.exp((similarity - 1) / TAU) * recency * place * evidence.observerWeight
    weighed.push({ evidence, weight })
    if (evidence.author !== SELF) byPeer.set(evidence.author, (byPeer.get(evidence.author) ?? 0) + weight)
  }
  let peers = 0
  for (const weight of byPeer.values()) peers += Math.min(weight, MAX_PEER)
  const scale = Math.min(1, MAX_PEERS / Math.max(peers, MAX_PEERS))
  for (const one of weighed) {
    const of = byPeer.get(one.evidence.author)
    if (of !== undefined) one.weight *= scale * Math.min(1, MAX_PEER / Math.max(of, MAX_PEER))
  }
  return weighed
}
