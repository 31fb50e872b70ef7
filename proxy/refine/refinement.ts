/** Refinement of prompts as the settings ask for it; its trials go on through a change of them. */
import type { FastifyBaseLogger } from 'fastify'
import type { Router } from '../../router/router.ts'
import type { Database } from '../../router/store/database.ts'
import type { Config } from '../config.ts'
import type { Metrics } from '../metrics.ts'
import { createRefining, type Refining } from './refining.ts'
import { readTemplates } from './templates.ts'
import { createTrials, type Trials } from './trials.ts'

export interface Refinement extends Disposable {
  /** Undefined where the operator does not ask for it. */
  refining(config: Config): Promise<Refining | undefined>
  /** Undefined where the operator has never asked for it. */
  readonly trials: Trials | undefined
}

export function createRefinement(components: {
  database: Database
  router: Router
  metrics: Metrics
  logger: FastifyBaseLogger
}): Refinement {
  const { database, router, metrics, logger } = components
  let trials: Trials | undefined
  return {
    get trials() {
      return trials
    },
    async refining(config) {
      if (!config.refine) return undefined
      const templates = await readTemplates(config.refineTemplates)
      if (!trials) {
        const onError = (error: unknown) =>
          logger.warn({ err: error }, 'trials of refined prompts could not be brought up to date')
        const begun = createTrials({ database, onError })
        await begun.start()
        trials = begun
      }
      return createRefining(
        { router, templates, trials, onConsidered: metrics.refinable },
        { domains: config.refineDomains, threshold: config.refineThreshold, holdout: config.refineHoldout },
      )
    },
    [Symbol.dispose]: () => trials?.[Symbol.dispose](),
  }
}
