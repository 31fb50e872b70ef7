/** How far the network may move what this site would say by itself. */

/** How much of the estimate each expert makes; sums to 1. */
export interface Shares {
  local: number
  robust: number
  network: number
}

/** Before any local outcome has told one from another. */
export const PRIOR_SHARES: Readonly<Shares> = { local: 0.1, robust: 0.6, network: 0.3 }

/** How far the network may move this site's own estimate: earned by local outcomes that could prove it wrong. */
export function adjustmentBound(localOutcomes: number): number {
  if (localOutcomes < 20) return 0.1
  if (localOutcomes < 100) return 0.2
  return 0.3
}
