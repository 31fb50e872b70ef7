/** Where nodes and keys lie in the DHT: the first 32 bits of their SHA-256, which tell 100,000 nodes apart. */
import { createHash } from 'node:crypto'
import { type RoutingKey, toCid } from '../../router/keyspace.ts'

export type Random = () => number

/** So many different ids, in rising order: node i is the one with the i-th id. */
export function drawIds(count: number, random: Random): Uint32Array {
  const ids = new Set<number>()
  while (ids.size < count) ids.add(Math.floor(random() * 2 ** 32))
  return Uint32Array.from(ids).sort()
}

/** Of a routing key, as kad-dht hashes it. */
export function idOfKey(key: RoutingKey): number {
  return createHash('sha256').update(toCid(key).multihash.bytes).digest().readUInt32BE()
}

/** The XOR metric. */
export function distance(a: number, b: number): number {
  return (a ^ b) >>> 0
}

/** The first index at which the sorted ids are no less than `id`. */
export function lowerBound(ids: Uint32Array, id: number): number {
  let [low, high] = [0, ids.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ids[middle] as number) < id) low = middle + 1
    else high = middle
  }
  return low
}

/** 32 well-mixed bits of a few numbers (xxHash's rounds and finish). */
export function mix(...parts: number[]): number {
  let hash = 0x165667b1
  for (const part of parts) {
    hash = Math.imul(hash + Math.imul(part, 0xc2b2ae3d), 0x27d4eb2f)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca77)
  return (hash ^ (hash >>> 16)) >>> 0
}
