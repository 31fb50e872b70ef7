/** Calibration that outlives the process: taken up from the store, and put there a little after it has changed. */
import { OBSERVER_WEIGHT, type Outcome } from './outcome.ts'
import type { Store } from './store/store.ts'
import { type Calibration, createCalibration } from './synthesis/calibration.ts'
import type { Logger } from './telemetry.ts'

export interface KeptCalibration extends Pick<Calibration, 'apply' | 'reliability' | 'version'> {
  /**
   * @param expected the posterior when the question was asked; undefined when nothing was known
   * @param held what was known of the answer before this outcome
   */
  learn(outcome: Outcome, expected: number | undefined, held: Pick<Outcome, 'observer'> | undefined): void
  restore(): Promise<void>
  /** Does nothing when nothing has changed. Never rejects. */
  save(): Promise<void>
}

const STATE = 'calibration'

export function createKeptCalibration(components: {
  store: Pick<Store, 'state' | 'putState'>
  logger: Pick<Logger, 'warn'>
}): KeptCalibration {
  const { store, logger } = components
  const calibration = createCalibration()
  let saved = calibration.version

  return {
    apply: calibration.apply,
    reliability: calibration.reliability,
    get version() {
      return calibration.version
    },
    learn(outcome, expected, held) {
      if (expected === undefined || !isLearnable(outcome, held)) return
      const { model, confidence, signal, observer } = outcome
      calibration.observe(model, expected, confidence, signal, OBSERVER_WEIGHT[observer])
    },
    async restore() {
      calibration.restore((await store.state(STATE)) ?? '')
      saved = calibration.version
    },
    async save() {
      const { version } = calibration
      if (version === saved) return
      try {
        await store.putState(STATE, calibration.save())
        saved = version
      } catch (error) {
        logger.warn({ err: error }, 'what confidences are worth could not be kept')
      }
    },
  }
}

/**
 * An answer's first word of somebody who has seen it. A rule's guess is no truth to be held against, a later change of mind
 * would count the answer twice, and a refined prompt had another answer.
 */
function isLearnable({ observer, intervention }: Outcome, held: Pick<Outcome, 'observer'> | undefined): boolean {
  return observer !== 'i' && intervention !== 2 && (held === undefined || held.observer === 'i')
}
