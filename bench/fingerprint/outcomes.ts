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
export function splitOutcomes(space: Space, { right }: Outcomes, seen: readonly Seen[], seed: number): OutcomeTable {
  const items = seen.map((seen, i) => ({ seen, right: right[i] ?? [] }))
  shuffle(items, seededRandom(seed))
  return { space, packets: items.slice(0, PACKETS), queries: items.slice(PACKETS, PACKETS + QUERIES) }
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
  const base = Array.from({ length: models }, (_, m) => mean(packets.map(packet => packet.right[m] as number)))
  const predicted = queries.map(query => {
    const weights = similarities(query.seen).map(s => Math.exp((s - 1) / TEMPERATURE))
    const total = weights.reduce((sum, weight) => sum + weight, PRIOR_WEIGHT)
    return base.map((rate, m) => {
      let sum = 0
      weights.forEach((weight, i) => {
        sum += weight * ((packets[i]?.right[m] as number) - rate)
      })
      return rate + sum / total
    })
  })
  const of = (m: number) => ({
    predicted: predicted.map(p => p[m] as number),
    right: queries.map(query => query.right[m] as number),
  })
  return {
    auc: mean(
      base.map((_, m) =>
        auc(
          of(m).predicted,
          of(m).right.map(right => right > 0.5),
        ),
      ),
    ),
    skill: mean(base.map((rate, m) => brierSkill(of(m).predicted, of(m).right, rate))),
  }
}

/** Shares of the queries that may disclose 2, 3 and 4 digits when at least `k` reference texts must share them. */
export function disclosable({ space, queries }: OutcomeTable, k: number): number[] {
  return space.counts.map((counts, i) =>
    mean(queries.map(({ seen }) => ((counts[Number.parseInt(seen.code.slice(0, i + 2), 16)] as number) >= k ? 1 : 0))),
  )
}
