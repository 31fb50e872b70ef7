/**
 * Whom each node of a swarm has in its routing table once it has met enough others: kad-dht's table, a tree that splits by
 * the bits of an id down to a depth, with at most k peers under each prefix, the first that were met. Which those are is
 * drawn by a hash of node and prefix, so that 100,000 tables take no memory.
 */
import { distance, lowerBound, mix } from './ids.ts'

export interface Tables {
  readonly ids: Uint32Array
  readonly k: number
  /** The peers in the node's table that are nearest to the target, at most k, nearest first. */
  closest(node: number, target: number): number[]
  /** How many peers are in the node's table. */
  size(node: number): number
}

export interface TableOptions {
  /** Peers under one prefix, and in an answer. @default 20 */
  k?: number
  /** Bits at which the tree ends. @default 6 */
  prefixBits?: number
  seed?: number
}

export function createTables(ids: Uint32Array, options: TableOptions = {}): Tables {
  const { k = 20, prefixBits = 6, seed = 1 } = options
  const prefixes = 2 ** prefixBits
  const shift = 32 - prefixBits
  const starts = Uint32Array.from({ length: prefixes + 1 }, (_, prefix) =>
    prefix === prefixes ? ids.length : lowerBound(ids, prefix * 2 ** shift),
  )

  /** Calls back for each peer under a prefix that is in the node's table. */
  function each(node: number, prefix: number, visit: (peer: number) => void): void {
    const start = starts[prefix] as number
    const size = (starts[prefix + 1] as number) - start
    if (size <= k + 1) {
      let room = k
      for (let peer = start; peer < start + size && room > 0; peer++) {
        if (peer === node) continue
        visit(peer)
        room--
      }
      return
    }
    // the first k of a random order of all but the node itself
    const seen = new Set<number>()
    for (let draw = 0; seen.size < k; draw++) {
      const peer = start + (mix(seed, node, prefix, draw) % size)
      if (peer === node || seen.has(peer)) continue
      seen.add(peer)
      visit(peer)
    }
  }

  return {
    ids,
    k,
    closest(node, target) {
      const found: number[] = []
      const home = prefixBits === 0 ? 0 : target >>> shift
      // all under one prefix are nearer than all under the next in this order
      for (let xor = 0; xor < prefixes && found.length < k; xor++) {
        const under: number[] = []
        each(node, home ^ xor, peer => under.push(peer))
        under.sort((a, b) => distance(ids[a] as number, target) - distance(ids[b] as number, target))
        found.push(...under.slice(0, k - found.length))
      }
      return found
    },
    size(node) {
      let count = 0
      for (let prefix = 0; prefix < prefixes; prefix++) {
        each(node, prefix, () => {
          count++
        })
      }
      return count
    },
  }
}
