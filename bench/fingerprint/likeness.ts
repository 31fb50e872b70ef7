/** Does likeness of vectors and codes mean what people mean by it? Pairs, nearest neighbours, and opposites. */
import type { Labelled, Pairs } from './data.ts'
import { auc, mean, nearestNeighbourAccuracy, spearman } from './measures.ts'
import type { Seen } from './views.ts'

type Compare = (asked: Seen, index: number) => number

/** Spearman's correlation of likeness with what people said. */
export function gradedPairs({ scores }: Pairs, a: readonly Seen[], compare: Compare): number {
  return spearman(
    a.map((asked, i) => compare(asked, i)),
    scores,
  )
}

/** AUC of telling paraphrases from others by likeness. */
export function paraphrasePairs({ scores }: Pairs, a: readonly Seen[], compare: Compare): number {
  return auc(
    a.map((asked, i) => compare(asked, i)),
    scores.map(score => score > 0.5),
  )
}

/** Accuracy of the nearest training text's label. */
export function nearestLabels({ train, test }: Labelled, asked: readonly Seen[], compare: Compare): number {
  return nearestNeighbourAccuracy(
    test.length,
    train.length,
    (query, known) => compare(asked[query] as Seen, known),
    (query, known) => test[query]?.label === train[known]?.label,
  )
}

export interface OppositesResult {
  /** Of telling the paraphrase of a sentence from its opposite by likeness: 0.5 is chance, below it is worse than that. */
  auc: number
  /** Share of sentences that their opposite resembles at least as much as their paraphrase does. */
  confused: number
  oppositeLikeness: number
  paraphraseLikeness: number
}

export function opposites(asked: readonly Seen[], toOpposite: Compare, toParaphrase: Compare): OppositesResult {
  const opposite = asked.map((seen, i) => toOpposite(seen, i))
  const paraphrase = asked.map((seen, i) => toParaphrase(seen, i))
  return {
    auc: auc(
      [...paraphrase, ...opposite],
      [...paraphrase, ...opposite].map((_, i) => i < asked.length),
    ),
    confused: mean(paraphrase.map((likeness, i) => ((opposite[i] as number) >= likeness ? 1 : 0))),
    oppositeLikeness: mean(opposite),
    paraphraseLikeness: mean(paraphrase),
  }
}
