/** Every figure of one embedder and its space, set by set, so that no more than one set is in memory. */
import type { Embedder } from '../../embeddings/embedder.ts'
import { nearestCells } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import type { Labelled, Outcomes, Pairs } from './data.ts'
import { readOpposites } from './data.ts'
import { gradedPairs, nearestLabels, type OppositesResult, opposites, paraphrasePairs } from './likeness.ts'
import { disclosable, type Prediction, predictAll, predictProbed, splitOutcomes } from './outcomes.ts'
import { measureSpeed, type Speed } from './speed.ts'
import { comparer, look, type Seen, VIEWS, type View } from './views.ts'

/** Undefined where the set is not at hand. */
export interface Sets {
  stsb: Pairs | undefined
  mrpc: Pairs | undefined
  clinc: Labelled | undefined
  banking: Labelled | undefined
  llmrouter: Outcomes | undefined
}

export type ByView<T> = Record<View, T>

export interface Probed extends Prediction {
  probes: number
  /** Share of all packets that are received. */
  traffic: number
}

export interface Figures {
  space: Space
  /** Spearman. */
  stsb: ByView<number> | undefined
  /** AUC. */
  mrpc: ByView<number> | undefined
  /** Accuracy of the nearest training text. */
  clinc: ByView<number> | undefined
  banking: ByView<number> | undefined
  llmrouter: ByView<Prediction> | undefined
  probed: Probed[]
  /** By k: shares of questions that may disclose 2, 3 and 4 digits. */
  disclosable: Map<number, number[]>
  opposites: ByView<OppositesResult>
  speed: Speed
  /** The cells nearest to each of BANKING77's test questions, nearest first; empty where the set is not at hand. */
  cells: number[][]
}

/** As many as a node asks for. */
const PROBED = 8
const PROBES = [1, 2, 3, 4, 6, 8, 12, 16]

export async function measureCandidate(embedder: Embedder, space: Space, sets: Sets, seed: number): Promise<Figures> {
  const see = (texts: readonly string[]) => look(embedder, space, texts)
  const everyView = <T>(known: readonly Seen[], figure: (compare: ReturnType<typeof comparer>) => T) =>
    Object.fromEntries(VIEWS.map(view => [view, figure(comparer(space, view, known))])) as ByView<T>

  async function pairs({ a, b, ...rest }: Pairs, figure: typeof gradedPairs): Promise<ByView<number>> {
    const [seenA, seenB] = [await see(a), await see(b)]
    return everyView(seenB, compare => figure({ a, b, ...rest }, seenA, compare))
  }

  async function labelled(set: Labelled): Promise<[ByView<number>, Seen[]]> {
    const train = await see(set.train.map(({ text }) => text))
    const test = await see(set.test.map(({ text }) => text))
    return [everyView(train, compare => nearestLabels(set, test, compare)), test]
  }

  async function outcomes(set: Outcomes) {
    const table = splitOutcomes(space, set, await see(set.texts), seed)
    return {
      llmrouter: Object.fromEntries(VIEWS.map(view => [view, predictAll(table, view)])) as ByView<Prediction>,
      probed: PROBES.map(probes => ({ probes, ...predictProbed(table, probes) })),
      disclosable: new Map([20, 50].map(k => [k, disclosable(table, k)])),
    }
  }

  async function measureOpposites(): Promise<ByView<OppositesResult>> {
    const triples = readOpposites()
    const asked = await see(triples.map(({ text }) => text))
    const opposite = await see(triples.map(({ opposite }) => opposite))
    const paraphrase = await see(triples.map(({ paraphrase }) => paraphrase))
    return Object.fromEntries(
      VIEWS.map(view => [view, opposites(asked, comparer(space, view, opposite), comparer(space, view, paraphrase))]),
    ) as ByView<OppositesResult>
  }

  const speed = await measureSpeed(embedder, space)
  const [banking, bankingTest] = sets.banking ? await labelled(sets.banking) : [undefined, []]
  const predicted = sets.llmrouter && (await outcomes(sets.llmrouter))
  return {
    space,
    stsb: sets.stsb && (await pairs(sets.stsb, gradedPairs)),
    mrpc: sets.mrpc && (await pairs(sets.mrpc, paraphrasePairs)),
    clinc: sets.clinc && (await labelled(sets.clinc))[0],
    banking,
    llmrouter: predicted?.llmrouter,
    probed: predicted?.probed ?? [],
    disclosable: predicted?.disclosable ?? new Map(),
    opposites: await measureOpposites(),
    speed,
    cells: bankingTest.map(({ table }) => nearestCells(space, table, PROBED)),
  }
}
