/** What the swarm is held against: the published rule, and all outcomes pooled in one place with exact vectors. */
import { dot } from '../../router/products.ts'
import { factorise, solve } from '../../router/synthesis/gaussian.ts'
import { kernel } from '../../router/synthesis/kernel.ts'
import type { Prepared } from './prepare.ts'

export interface Pooled {
  question: Prepared
  domain: string
  signal: number
}

/** Exponential moving average of outcomes in an exact bucket of the fingerprint: `w ← 0.7 w + 0.3 os`, from 0.5. */
export function referenceRule(
  pooled: readonly Pooled[],
  digits: number,
): (question: Prepared, domain: string) => number {
  const buckets = new Map<string, number>()
  const name = (question: Prepared, domain: string) => `${domain}/${question.code.slice(0, digits)}`
  for (const { question, domain, signal } of pooled) {
    const bucket = name(question, domain)
    buckets.set(bucket, 0.7 * (buckets.get(bucket) ?? 0.5) + 0.3 * signal)
  }
  return (question, domain) => buckets.get(name(question, domain)) ?? 0.5
}

const NEAREST = 64
const PSEUDO_COUNT = 4

/** The same kernel as the estimator's, on exact vectors, each compared with each; nobody lies and nothing is withheld. */
export function centralPool(pooled: readonly Pooled[]): (question: Prepared, domain: string) => number {
  const total = pooled.reduce((sum, { signal }) => sum + signal, 0)
  const general = (total + PSEUDO_COUNT / 2) / (pooled.length + PSEUDO_COUNT)
  const byDomain = new Map<string, { n: number; sum: number }>()
  for (const { domain, signal } of pooled) {
    const tally = byDomain.get(domain) ?? { n: 0, sum: 0 }
    tally.n++
    tally.sum += signal
    byDomain.set(domain, tally)
  }
  const baseOf = (domain: string) => {
    const { n, sum } = byDomain.get(domain) ?? { n: 0, sum: 0 }
    return (sum + PSEUDO_COUNT * general) / (n + PSEUDO_COUNT)
  }
  return (question, domain) => {
    const similarities = pooled.map(one =>
      one.domain === domain ? cosine(one.question, question) : Number.NEGATIVE_INFINITY,
    )
    const order = Array.from(similarities.keys()).sort(
      (a, b) => (similarities[b] as number) - (similarities[a] as number),
    )
    const near = order.slice(0, NEAREST).filter(i => Number.isFinite(similarities[i]))
    const n = near.length
    const matrix = new Float64Array(n * n)
    for (const [row, i] of near.entries()) {
      for (const [column, j] of near.slice(0, row).entries()) {
        matrix[row * n + column] = kernel(cosine((pooled[i] as Pooled).question, (pooled[j] as Pooled).question))
      }
      matrix[row * n + row] = 2
    }
    factorise(matrix, n)
    const { weights } = solve(
      matrix,
      n,
      Float64Array.from(near, i => kernel(similarities[i] as number)),
      n,
      1,
    )
    const base = baseOf(domain)
    const residual = near.reduce(
      (sum, i, at) => sum + (weights[at] as number) * ((pooled[i] as Pooled).signal - base),
      0,
    )
    return Math.min(1, Math.max(0, base + residual))
  }
}

function cosine(a: Prepared, b: Prepared): number {
  return dot(a.projected, 0, b.projected, 0, a.projected.length)
}
