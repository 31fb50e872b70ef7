/** How much each author's word weighs, so that one loud peer cannot outvote the rest. */

/** What the evidence of one author says, summed over a lookup. */
export interface Voice {
  weight: number
  /** Σ weight · (signal − expected signal). */
  residual: number
}

/** The most that one peer may weigh in a lookup, in units of one fresh outcome of the same question and model. */
export const MAX_PEER_WEIGHT = 2

/** Scales a peer's voice down to the cap; its direction stays. */
export function capped(voice: Voice): Voice {
  if (voice.weight <= MAX_PEER_WEIGHT) return voice
  return { weight: MAX_PEER_WEIGHT, residual: (voice.residual * MAX_PEER_WEIGHT) / voice.weight }
}

/** How far the network may move this site's own estimate: earned by local outcomes that could prove it wrong. */
export function adjustmentBound(localOutcomes: number): number {
  if (localOutcomes < 20) return 0.1
  if (localOutcomes < 100) return 0.2
  return 0.3
}
