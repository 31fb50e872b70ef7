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

/** How far the network may move this site's own estimate: earned by local outcomes that could prove it wrong. */
export function adjustmentBound(localOutcomes: number): number {
  if (localOutcomes < 20) return 0.1
  if (localOutcomes < 100) return 0.2
  return 0.3
}
