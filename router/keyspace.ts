/** Where in the network a kind of question lives: (space, domain, cell) → routing key → CID and topic. */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'

/** SHA-256 of the length-prefixed parts, 64 hex digits. */
export type RoutingKey = string & { readonly __brand: 'RoutingKey' }

const SHA2_256 = 0x12

/**
 * The key under which nodes that see a kind of question meet. Only the first label of the domain counts, so that
 * `clinical` and `clinical.oncology` meet; the rest of the tag weighs in synthesis.
 *
 * Every part is preceded by its length, so that no two lists of parts have the same bytes.
 *
 * @param space 8 hex digits
 * @param cell 0..255, level 1 of the fingerprint
 */
export function routingKey(space: string, domain: string, cell: number): RoutingKey {
  const hash = createHash('sha256')
  for (const part of ['qis/1', space, rootLabel(domain), cell.toString(16).padStart(2, '0')]) {
    const bytes = Buffer.from(part, 'utf8')
    hash.update(Uint8Array.of(bytes.length)).update(bytes)
  }
  return hash.digest('hex') as RoutingKey
}

/** So many first labels of domains are remembered with their keys. */
const MAX_LABELS = 64

export interface KeyCache {
  of(domain: string, cell: number): RoutingKey
}

/** The keys of one space, each computed once; requests ask for eight of them. */
export function createKeyCache(space: string): KeyCache {
  const byLabel = new Map<string, RoutingKey[]>()
  return {
    of(domain, cell) {
      const label = rootLabel(domain)
      let keys = byLabel.get(label)
      if (!keys) {
        keys = []
        if (byLabel.size >= MAX_LABELS) byLabel.clear()
        byLabel.set(label, keys)
      }
      keys[cell] ??= routingKey(space, label, cell)
      return keys[cell]
    },
  }
}

/** `clinical.oncology` → `clinical`. */
export function rootLabel(domain: string): string {
  const dot = domain.indexOf('.')
  return dot === -1 ? domain : domain.slice(0, dot)
}

/** The key as the DHT's provider records want it. */
export function toCid(key: RoutingKey): CID {
  return CID.createV1(raw.code, Digest.create(SHA2_256, Buffer.from(key, 'hex')))
}

const TOPIC_PREFIX = 'qis/1/'

/** The key as a gossipsub topic. */
export function toTopic(key: RoutingKey): string {
  return TOPIC_PREFIX + key
}

/** The key of a topic, or undefined for a topic that is not ours. */
export function fromTopic(topic: string): RoutingKey | undefined {
  const key = topic.slice(TOPIC_PREFIX.length)
  return topic.startsWith(TOPIC_PREFIX) && /^[0-9a-f]{64}$/.test(key) ? (key as RoutingKey) : undefined
}
