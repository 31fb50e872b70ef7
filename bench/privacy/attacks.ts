/** What an attack is worth, in plain arithmetic: how high the truth is ranked, how well it is told from others, how much is learnt. */

/** Texts that look the same to an attacker, by what he sees of them. */
export function classesOf(seen: readonly string[]): Map<string, number[]> {
  const classes = new Map<string, number[]>()
  seen.forEach((look, index) => {
    const members = classes.get(look)
    if (members) members.push(index)
    else classes.set(look, [index])
  })
  return classes
}

/** How probable it is that `truth` is among the first `n` when the highest score comes first and ties are drawn by lot. */
export function hitChance(scores: readonly number[], truth: number, n: number): number {
  const own = scores[truth] as number
  let above = 0
  let equal = 0
  for (const score of scores) {
    if (score > own) above++
    else if (score === own) equal++
  }
  return Math.max(0, Math.min(1, (n - above) / equal))
}

/** Share of the others that score below the truth, ties one half; undefined when there are no others. */
export function truthAuc(scores: readonly number[], truth: number): number | undefined {
  if (scores.length < 2) return undefined
  const own = scores[truth] as number
  let below = 0
  scores.forEach((score, index) => {
    if (index !== truth) below += score < own ? 1 : score === own ? 0.5 : 0
  })
  return below / (scores.length - 1)
}

/** Shannon's entropy of what is seen, bits. */
export function entropy(seen: readonly string[]): number {
  let bits = 0
  for (const { length } of classesOf(seen).values()) bits -= (length / seen.length) * Math.log2(length / seen.length)
  return bits
}

/** Of pairs of packets that look the same, the share that are about the same text. */
export function linkPrecision(looks: readonly string[], texts: readonly number[]): number {
  let same = 0
  let pairs = 0
  for (const members of classesOf(looks).values()) {
    pairs += pairsOf(members.length)
    const counts = new Map<number, number>()
    for (const member of members) {
      const text = texts[member] as number
      counts.set(text, (counts.get(text) ?? 0) + 1)
    }
    for (const count of counts.values()) same += pairsOf(count)
  }
  return same / pairs
}

const pairsOf = (count: number) => (count * (count - 1)) / 2

/**
 * The most that what is seen tells between two secrets: the highest ratio of its frequencies under either, of what was
 * seen at least `least` times under both; infinite when something frequent under one is never seen under the other.
 */
export function worstOdds(one: readonly string[], other: readonly string[], least = 20): number {
  const [a, b] = [classesOf(one), classesOf(other)]
  let worst = 1
  for (const look of new Set([...a.keys(), ...b.keys()])) {
    const [p, q] = [(a.get(look)?.length ?? 0) / one.length, (b.get(look)?.length ?? 0) / other.length]
    const [rare, frequent] = [Math.min(p * one.length, q * other.length), Math.max(p * one.length, q * other.length)]
    if (rare >= least || (rare === 0 && frequent >= least)) worst = Math.max(worst, p / q, q / p)
  }
  return worst
}
