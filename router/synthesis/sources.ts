/** Which sources of a retrieval led to good answers to this kind of question, by outcomes whose strategy names them. Pure. */
import type { Weighed } from './nearby.ts'

export interface SourceEffect {
  /** How much better (above 0) or worse than without it answers were, shrunk towards 0; −0.5..0.5. */
  effect: number
  /** Of the outcomes that name it. */
  weight: number
  outcomes: number
}

/** Pseudo-counts: of a source's own mean towards the others', and of the others' towards an even chance. */
const OWN_COUNT = 2
const OTHERS_COUNT = 2

/** Several sources in one strategy are joined by dots; each has its share of the outcome. */
export function sourcesOf(strategy: string): string[] {
  return strategy.split('.').filter(source => source !== '')
}

/**
 * For each label, the mean of the outcomes that name it less the mean of those that do not, both shrunk:
 * `W/(W + k) · (ȳ − b)` with `b = (Σ w y + k/2) / (Σ w + k)` over the others (empirical-Bayes shrinkage of a mean; Efron &
 * Morris 1977). More bad outcomes never raise an effect. A label is named when it is the strategy or one of its parts.
 */
export function sourceEffects(nearby: readonly Weighed[], labels: Iterable<string>): Map<string, SourceEffect> {
  const effects = new Map<string, SourceEffect>()
  for (const label of labels) {
    let [own, ownSum, others, othersSum, outcomes] = [0, 0, 0, 0, 0]
    for (const { evidence, weight } of nearby) {
      const share = shareOf(label, evidence.strategy)
      own += share * weight
      ownSum += share * weight * evidence.signal
      others += (1 - share) * weight
      othersSum += (1 - share) * weight * evidence.signal
      if (share > 0) outcomes++
    }
    const base = (othersSum + OTHERS_COUNT / 2) / (others + OTHERS_COUNT)
    const effect = own === 0 ? 0 : (own / (own + OWN_COUNT)) * (ownSum / own - base)
    effects.set(label, { effect: Math.min(0.5, Math.max(-0.5, effect)), weight: own, outcomes })
  }
  return effects
}

function shareOf(label: string, strategy: string | undefined): number {
  if (strategy === undefined) return 0
  if (strategy === label) return 1
  const parts = sourcesOf(strategy)
  return parts.includes(label) ? 1 / parts.length : 0
}
