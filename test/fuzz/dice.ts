/** Random choices that come out the same for the same seed, on every machine. */

export interface Dice {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number
  pick<T>(from: readonly [T, ...T[]]): T
  /** True one time in `times`. */
  oneIn(times: number): boolean
  bytes(length: number): Buffer
}

/** mulberry32: small, fast, and good enough to choose with. */
export function createDice(seed: number): Dice {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number) => Math.floor((next() / 0x1_0000_0000) * limit)
  return {
    below,
    pick: from => from[below(from.length)] ?? from[0],
    oneIn: times => below(times) === 0,
    bytes(length) {
      const bytes = Buffer.alloc(length)
      for (let at = 0; at < length; at++) bytes[at] = next()
      return bytes
    },
  }
}
