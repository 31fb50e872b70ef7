/** How far the network may move what this site would say by itself. */

/** How much of the estimate each expert makes; sums to 1. */
export interface Shares {
  local: number
  robust: number
  network: number
  /** How much of what neighbours suggest comes true, from 0; 1 before anything is known. */
  slope: number
}

/** Before any local outcome has told one from another. */
export const PRIOR_SHARES: Readonly<Shares> = { local: 0.05, robust: 0.85, network: 0.1, slope: 1 }

const FIRST_BOUND = 0.1
const FULL_BOUND = 0.3
const EARNED_AT = 10

/** How far the network may move this site's own estimate: earned by local outcomes that could prove it wrong. */
export function adjustmentBound(localOutcomes: number): number {
  return FIRST_BOUND + (FULL_BOUND - FIRST_BOUND) * Math.min(1, localOutcomes / EARNED_AT)
}
