/** The field's figures of merit, in plain arithmetic. */
import { dot } from '../../router/products.ts'

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

/** Of vectors of length 1. */
export function cosine(a: Float32Array, b: Float32Array): number {
  return dot(a, 0, b, 0, a.length)
}

/** Area under the ROC curve: the share of (right, wrong) pairs that the scores put in order; ties count one half. */
export function auc(scores: readonly number[], right: readonly boolean[]): number {
  const ranked = ranks(scores)
  const positives = right.filter(Boolean).length
  const sum = ranked.reduce((sum, rank, i) => (right[i] ? sum + rank : sum), 0)
  return (sum - (positives * (positives + 1)) / 2) / (positives * (scores.length - positives))
}

/** Spearman's rank correlation, -1..1; ties share their mean rank. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  return pearson(ranks(a), ranks(b))
}

function pearson(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)]
  let [ab, aa, bb] = [0, 0, 0]
  a.forEach((value, i) => {
    const [x, y] = [value - meanA, (b[i] as number) - meanB]
    ab += x * y
    aa += x * x
    bb += y * y
  })
  return ab / Math.sqrt(aa * bb)
}

/** From 1 for the smallest. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => (values[i] as number) - (values[j] as number))
  const ranked = new Array<number>(values.length)
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++
    for (const i of order.slice(from, to)) ranked[i] = (from + 1 + to) / 2
    from = to
  }
  return ranked
}

/** Share of queries whose most similar known item has their label; of equally similar ones the first counts. */
export function nearestNeighbourAccuracy(
  queries: number,
  known: number,
  similarity: (query: number, known: number) => number,
  sameLabel: (query: number, known: number) => boolean,
): number {
  let right = 0
  for (let query = 0; query < queries; query++) {
    let best = 0
    let most = Number.NEGATIVE_INFINITY
    for (let item = 0; item < known; item++) {
      const score = similarity(query, item)
      if (score > most) {
        most = score
        best = item
      }
    }
    if (sameLabel(query, best)) right++
  }
  return right / queries
}

/** 1 − the Brier score's ratio to that of always saying `base` (Brier 1950): 0 when nothing was gained, 1 at best. */
export function brierSkill(predicted: readonly number[], outcomes: readonly number[], base: number): number {
  const error = (p: (row: number) => number) => mean(outcomes.map((outcome, row) => (p(row) - outcome) ** 2))
  return 1 - error(row => predicted[row] as number) / error(() => base)
}
