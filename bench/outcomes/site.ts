/** One site's evidence and synthesis without the network, for sweeps in which the network adds nothing. */

import { createComparison } from '../../router/comparison.ts'
import { createEvidenceIndex, type EvidenceIndex, SELF } from '../../router/evidence.ts'
import { decode } from '../../router/fingerprint.ts'
import type { Epsilon } from '../../router/randomised-response.ts'
import type { Space } from '../../router/space.ts'
import {
  assess,
  type Estimate,
  estimate,
  MAX_NEIGHBOURS,
  MIN_SIMILARITY,
  type Opinions,
} from '../../router/synthesis/estimator.ts'
import { createMixing, type Mixing } from '../../router/synthesis/mixing.ts'
import type { Prepared } from './prepare.ts'

export const NOW = 500_000 * 3600

export interface Said {
  code: string
  model: string
  domain: string
  /** 0..1; as one bit where `epsilon` is given. */
  signal: number
  epsilon?: Epsilon | undefined
  /** A peer; absent for what this site saw itself. */
  author?: string
}

export interface Site {
  readonly index: EvidenceIndex
  readonly mixing: Mixing
  hear(said: Said): void
  /** An outcome of this site's own, which first scores what was expected of it. */
  learn(said: Said): void
  ask(question: Prepared, model: string, domain: string): Estimate
  opinions(question: Prepared, model: string, domain: string): Opinions
}

export function createSite(space: Space, probes: number): Site {
  const comparison = createComparison(space, probes)
  const index = createEvidenceIndex(code => decode(space, code), 200_000, comparison)
  const mixing = createMixing()
  let count = 0
  const put = ({ author = SELF, code, model, domain, signal, epsilon }: Said) => {
    index.put({
      author,
      answer: (count++).toString(16).padStart(16, '0'),
      code,
      model,
      domain,
      signal,
      ...(epsilon !== undefined && { epsilon }),
      observer: 'h',
      intervention: 0,
      revision: 0,
      withdrawn: false,
      time: NOW,
      expires: NOW + 1e6,
    })
  }
  const near = (table: Float32Array, cells: readonly number[]) =>
    index.near(table, cells, MIN_SIMILARITY, MAX_NEIGHBOURS)
  const query = (model: string, domain: string) => ({ model, domain, prior: 0.5, now: NOW })
  return {
    index,
    mixing,
    hear: put,
    learn(said) {
      const { table, cells } = comparison.of(said.code)
      const asked = { ...query(said.model, said.domain), shares: mixing.shares(said.domain) }
      const { estimate, opinions } = assess(near(table, cells), asked, index)
      if (estimate.packets > 0) {
        mixing.score(said.domain, { ...opinions, advised: estimate.confidence }, said.signal, 1)
      }
      put(said)
    },
    ask: ({ table, cells }, model, domain) =>
      estimate(near(table, cells), { ...query(model, domain), shares: mixing.shares(domain) }, index),
    opinions: ({ table, cells }, model, domain) => assess(near(table, cells), query(model, domain), index).opinions,
  }
}
