/** Keeps account of what was told and what came of it: a reliability diagram, Brier scores, calibration errors. */

/** Answers that were told about alike. */
export interface ReliabilityBin {
  /** Told confidences from here, up to `to`. */
  from: number
  to: number
  count: number
  /** Mean of what was told, and mean of what came of it; undefined where nothing was told. */
  predicted: number | undefined
  observed: number | undefined
}

/** Of the last outcomes, some ten thousand. */
export interface Reliability {
  outcomes: number
  bins: ReliabilityBin[]
  /** Mean squared error of what was told, and of the posterior alone; undefined without outcomes. */
  brier: { told: number | undefined; posterior: number | undefined }
  /** Mean distance between predicted and observed, bins weighed by their counts (ECE; Naeini et al. 2015). */
  calibrationError: { told: number | undefined; posterior: number | undefined }
}

const BINS = 10
/** Counts are halved at so many, so that what was long ago fades. */
const MAX_COUNT = 10_000

interface Sums {
  count: number[]
  predicted: number[]
  observed: number[]
  squares: number
}

export interface ReliabilityState {
  told: Sums
  posterior: Sums
}

const nothing = (): Sums => ({
  count: Array(BINS).fill(0),
  predicted: Array(BINS).fill(0),
  observed: Array(BINS).fill(0),
  squares: 0,
})

export function createReliability(state: ReliabilityState = { told: nothing(), posterior: nothing() }) {
  return {
    count(told: number, posterior: number, signal: number): void {
      add(state.told, told, signal)
      add(state.posterior, posterior, signal)
    },
    read(): Reliability {
      const { told, posterior } = state
      return {
        outcomes: total(told.count),
        bins: told.count.map((count, bin) => ({
          from: bin / BINS,
          to: (bin + 1) / BINS,
          count,
          predicted: share(told.predicted[bin], count),
          observed: share(told.observed[bin], count),
        })),
        brier: { told: brier(told), posterior: brier(posterior) },
        calibrationError: { told: calibrationError(told), posterior: calibrationError(posterior) },
      }
    },
    save: (): ReliabilityState => state,
  }
}

function add(sums: Sums, predicted: number, signal: number): void {
  const bin = Math.min(BINS - 1, Math.floor(predicted * BINS))
  for (const [list, value] of [
    [sums.count, 1],
    [sums.predicted, predicted],
    [sums.observed, signal],
  ] as const) {
    list[bin] = (list[bin] ?? 0) + value
  }
  sums.squares += (predicted - signal) ** 2
  if (total(sums.count) < MAX_COUNT) return
  for (const list of [sums.count, sums.predicted, sums.observed]) {
    for (const at of list.keys()) list[at] = (list[at] ?? 0) / 2
  }
  sums.squares /= 2
}

function brier({ count, squares }: Sums): number | undefined {
  return share(squares, total(count))
}

function calibrationError({ count, predicted, observed }: Sums): number | undefined {
  return share(total(count.map((_, bin) => Math.abs((predicted[bin] ?? 0) - (observed[bin] ?? 0)))), total(count))
}

function share(sum: number | undefined, count: number): number | undefined {
  return count > 0 && sum !== undefined ? sum / count : undefined
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
