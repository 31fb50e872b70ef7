/** How well codes predict which questions a model answers, by a kernel mean over packets, and what fewer packets cost. */
import { seededRandom, shuffle } from '../../embeddings/train/corpus.ts'
import { type DecodedCode, decode, nearestCells, similarity } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import type { Outcomes } from './data.ts'
import { auc, brierSkill, mean } from './measures.ts'
import { comparer, type Seen, type View } from './views.ts'

const PACKETS = 4_000
const QUERIES = 1_500
/** Of the base rate, in a kernel of this width. */
const PRIOR_WEIGHT = 0.05
const TEMPERATURE = 0.1

/** Means over the models of the table. */
export interface Prediction {
  auc: number
  /** Against the model's own base rate. */
  skill: number
}

interface Item {
  seen: Seen
  right: readonly number[]
}

export interface OutcomeTable {
  space: Space
  packets: Item[]
  queries: Item[]
}

/** Questions are dealt out by the seed: some are packets, others are asked. */
export function splitOutcomes(
  space: Space,
  { right }: Outcomes,
  seen: readonly Seen[],
  seed: number,
  { packets = PACKETS, queries = QUERIES } = {},
): OutcomeTable {
  const items = seen.map((seen, i) => ({ seen, right: right[i] ?? [] }))
  shuffle(items, seededRandom(seed))
  return { space, packets: items.slice(0, packets), queries: items.slice(packets, packets + queries) }
}

export function predictAll(table: OutcomeTable, view: View): Prediction {
  const compare = comparer(
    table.space,
    view,
    table.packets.map(({ seen }) => seen),
  )
  return predict(table, query => table.packets.map((_, packet) => compare(query, packet)))
}

/** With the packets of the `probes` cells nearest to each query only; `traffic` is their share of all. */
export function predictProbed(table: OutcomeTable, probes: number): Prediction & { traffic: number } {
  const decoded: DecodedCode[] = table.packets.map(({ seen }) => decode(table.space, seen.code))
  let received = 0
  const prediction = predict(table, query => {
    const near = new Set(nearestCells(table.space, query.table, probes))
    return decoded.map(code => {
      if (!near.has(code.cell)) return Number.NEGATIVE_INFINITY
      received++
      return similarity(query.table, code)
    })
  })
  return { ...prediction, traffic: received / (table.packets.length * table.queries.length) }
}

/** `similarities` of a query to all packets, in their order. */
function predict({ packets, queries }: OutcomeTable, similarities: (query: Seen) => number[]): Prediction {
  const models = packets[0]?.right.length ?? 0
  const byModel = Array.from({ length: models }, (_, m) => packets.map(packet => packet.right[m] as number))
  const base = byModel.map(mean)
  const predicted = base.map(() => new Float64Array(queries.length))
  queries.forEach((query, row) => {
    const weights = Float64Array.from(similarities(query.seen), s => Math.exp((s - 1) / TEMPERATURE))
    const total = weights.reduce((sum, weight) => sum + weight, PRIOR_WEIGHT)
    byModel.forEach((right, m) => {
      const rate = base[m] as number
      let sum = 0
      for (let i = 0; i < weights.length; i++) sum += (weights[i] as number) * ((right[i] as number) - rate)
      ;(predicted[m] as Float64Array)[row] = rate + sum / total
    })
  })
  const figures = base.map((rate, m) => {
    const scores = Array.from(predicted[m] as Float64Array)
    const right = queries.map(query => query.right[m] as number)
    return {
      auc: auc(
        scores,
        right.map(outcome => outcome > 0.5),
      ),
      skill: brierSkill(scores, right, rate),
    }
  })
  return { auc: mean(figures.map(({ auc }) => auc)), skill: mean(figures.map(({ skill }) => skill)) }
}

/** Shares of the queries that may disclose 2, 3 and 4 digits when at least `k` reference texts must share them. */
export function disclosable({ space, queries }: OutcomeTable, k: number): number[] {
  return space.counts.map((counts, i) =>
    mean(queries.map(({ seen }) => ((counts[Number.parseInt(seen.code.slice(0, i + 2), 16)] as number) >= k ? 1 : 0))),
  )
}
