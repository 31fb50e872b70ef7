/** What outcomes near a question weigh where they are not evidence of a model's skill but of sources or corrections. Pure. */
import type { Near } from '../code-index.ts'
import type { Evidence } from '../evidence.ts'
import type { Standing } from './agreement.ts'

export interface Weighed {
  evidence: Evidence
  /** In units of one fresh word of a person on the very same question. */
  weight: number
}

export interface NearbyQuery {
  domain: string
  /** Unix seconds. */
  now: number
  /** What an author's word has been worth so far; `self` is this site. */
  standing(author: string): Standing
}

/** Kernel width: what is near lies nearer here than to the estimator, which weighs what far outcomes have in common. */
const TAU = 0.1
const HALF_LIFE_S = 7 * 24 * 3600
const OTHER_DOMAIN = 0.5
/** The most that one peer, and that all peers together, may weigh. Keys are free to make: strangers together are one peer. */
const MAX_PEER = 2
const MAX_PEERS = 8
const STRANGERS = ''

/** Whatever the model and whoever chose it; without what is withdrawn, expired or distrusted. */
export function weighNearby(neighbours: Iterable<Near<Evidence>>, query: NearbyQuery): Weighed[] {
  const { domain, now, standing } = query
  const weighed: (Weighed & { peer: string | undefined })[] = []
  const byPeer = new Map<string, number>()
  for (const { item: evidence, similarity } of neighbours) {
    const stands = standing(evidence.author)
    if (evidence.withdrawn || evidence.expires <= now || stands === 'distrusted') continue
    const recency = 2 ** (-Math.max(0, now - evidence.time) / HALF_LIFE_S)
    const place = evidence.domain === domain ? 1 : OTHER_DOMAIN
    const weight = Math.exp((similarity - 1) / TAU) * recency * place * evidence.observerWeight
    const peer = stands === 'self' ? undefined : stands === 'proven' ? evidence.author : STRANGERS
    weighed.push({ evidence, weight, peer })
    if (peer !== undefined) byPeer.set(peer, (byPeer.get(peer) ?? 0) + weight)
  }
  let peers = 0
  for (const weight of byPeer.values()) peers += Math.min(weight, MAX_PEER)
  const scale = MAX_PEERS / Math.max(peers, MAX_PEERS)
  for (const one of weighed) {
    const said = one.peer === undefined ? undefined : byPeer.get(one.peer)
    if (said !== undefined) one.weight *= (scale * MAX_PEER) / Math.max(said, MAX_PEER)
  }
  return weighed
}
