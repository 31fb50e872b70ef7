/** What the uses of advice tell Prometheus: which models were chosen and why, which prompts were refined and whether it helps. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { boundedLabel } from './observe/bounded-label.ts'
import type { Trial, TrialMark } from './refine/trials.ts'
import type { RouteReason } from './routing/routing.ts'

export interface UsesMetrics {
  /** @param model one of the configured */
  routed(model: string, reason: RouteReason): void
  refinable(mark: TrialMark): void
  reranked(documents: number): void
  /** Read at each scrape. */
  watchTrials(read: () => readonly Trial[]): void
}

const MAX_DOMAINS = 50

/** @param tell what may be told of a domain there */
export function createUsesMetrics(
  registry: Registry,
  tell: (domain: string) => string = domain => domain,
): UsesMetrics {
  const registers = [registry]
  const routed = new Counter({
    name: 'qis_routed_total',
    help: 'Requests for qis/auto by the model that was chosen first and by why',
    labelNames: ['model', 'reason'],
    registers,
  })
  const refined = new Counter({
    name: 'qis_refine_total',
    help: 'Requests that corrections asked to refine, by type and by whether they were or were held back',
    labelNames: ['type', 'arm'],
    registers,
  })
  const reranked = new Counter({
    name: 'qis_reranked_documents_total',
    help: 'Documents put into order by POST /qis/rerank',
    registers,
  })
  return {
    routed: (model, reason) => routed.inc({ model, reason }),
    refinable: ({ type, treated }) => refined.inc({ type, arm: treated ? 'refined' : 'held' }),
    reranked: documents => reranked.inc(documents),
    watchTrials(read) {
      const label = boundedLabel(MAX_DOMAINS)
      const gauge = (name: string, help: string, value: (trial: Trial) => number) =>
        new Gauge({
          name,
          help,
          labelNames: ['type', 'domain'],
          registers,
          collect() {
            for (const trial of read()) this.set({ type: trial.type, domain: label(tell(trial.domain)) }, value(trial))
          },
        })
      gauge('qis_refine_effect', 'Mean outcome of refined prompts less that of those held back', ({ effect }) => effect)
      gauge('qis_refine_on', 'Whether this refinement is still tried: 0 once it was seen not to help', ({ state }) =>
        state === 'off' ? 0 : 1,
      )
    },
  }
}
