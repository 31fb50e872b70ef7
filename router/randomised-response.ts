/**
 * Randomised response: one noisy bit leaves in place of a signal, so that nobody can hold an author to what it says, and
 * many of them still tell the average (Warner 1965; with fractional signals: Duchi, Jordan, Wainwright 2013).
 */

/** The bit is at most e^ε times as likely under one signal as under another (local differential privacy). */
export type Epsilon = 1 | 2 | 4

/** How often the bit says the opposite: 0.269, 0.119, 0.018. */
export function flipProbability(epsilon: Epsilon): number {
  return 1 / (1 + Math.exp(epsilon))
}

/**
 * The bit for a signal of 0..1: 1 with probability `p + (1 − 2p) · signal`.
 *
 * @param dice uniform in [0, 1); who draws anew for the same answer lets the noise be averaged away
 */
export function randomised(signal: number, epsilon: Epsilon, dice: number): 0 | 1 {
  const p = flipProbability(epsilon)
  return dice < p + (1 - 2 * p) * signal ? 1 : 0
}

/** What a bit says on average: its mean over the noise is the signal; a single one lies outside 0..1. */
export function unbiased(bit: number, epsilon: Epsilon): number {
  const p = flipProbability(epsilon)
  return (bit - p) / (1 - 2 * p)
}

/** What a noisy bit weighs beside a signal in clear, (1 − 2p)²: the share of its information about a mean that the noise leaves. */
export function noiseWeight(epsilon: Epsilon): number {
  return (1 - 2 * flipProbability(epsilon)) ** 2
}
