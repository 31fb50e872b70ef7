/** What peers have earned here, scored by each outcome and kept across restarts. */
import type { Comparison } from './comparison.ts'
import { type EvidenceIndex, SELF } from './evidence.ts'
import { OBSERVER_WEIGHT, type Outcome } from './outcome.ts'
import type { Store } from './store/store.ts'
import { assess, MAX_NEIGHBOURS, MIN_SIMILARITY } from './synthesis/estimator.ts'
import { type Benefit, createMixing } from './synthesis/mixing.ts'
import type { Shares } from './synthesis/trust.ts'
import type { Logger, RouterObserver } from './telemetry.ts'

export interface KeptMixing {
  shares(domain: string): Shares
  /** What listening has brought, by domain. */
  benefits(): Benefit[]
  /** Holds what would have been advised against what came of it, before that is known to the index. */
  score(outcome: Outcome): void
  restore(): Promise<void>
  /** Does nothing when nothing has changed; logs what cannot be kept. */
  save(): Promise<void>
}

const STATE = 'mixing'
const PRIOR = 0.5

export function createKeptMixing(components: {
  store: Pick<Store, 'state' | 'putState'>
  evidence: EvidenceIndex
  comparison: Comparison
  logger: Logger
  observer: Pick<RouterObserver, 'benefitMeasured'>
  /** Unix seconds. */
  now(): number
}): KeptMixing {
  const { store, evidence, comparison, logger, observer, now } = components
  const mixing = createMixing()
  let saved = mixing.save()
  return {
    shares: mixing.shares,
    benefits: mixing.benefits,
    score({ code, model, domain, strategy, signal, observer: seenBy, intervention }) {
      if (intervention === 2) return
      const { table, cells } = comparison.of(code)
      const neighbours = evidence.near(table, cells, MIN_SIMILARITY, MAX_NEIGHBOURS)
      // Without a peer's word near the question there is nothing to hold against this site's own.
      if (neighbours.every(({ item }) => item.author === SELF)) return
      const query = { model, domain, strategy, prior: PRIOR, now: now(), shares: mixing.shares(domain) }
      const { estimate, opinions } = assess(neighbours, query, evidence)
      if (estimate.packets === 0) return
      const expected = { ...opinions, advised: estimate.confidence }
      observer.benefitMeasured(mixing.score(domain, expected, signal, OBSERVER_WEIGHT[seenBy]))
    },
    async restore() {
      mixing.restore((await store.state(STATE)) ?? '')
      saved = mixing.save()
      for (const benefit of mixing.benefits()) observer.benefitMeasured(benefit)
    },
    async save() {
      const current = mixing.save()
      if (current === saved) return
      try {
        await store.putState(STATE, current)
        saved = current
      } catch (error) {
        logger.warn({ err: error }, 'what peers have earned could not be kept')
      }
    },
  }
}
