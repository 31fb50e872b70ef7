/** An outcome that nobody has seen, to find out what it would change. */
import { type Evidence, SELF } from './evidence.ts'
import type { DecodedCode } from './fingerprint.ts'
import { modelFamily } from './model-variant.ts'
import type { Outcome } from './outcome.ts'

/** A person's word on an answer to the question itself, just now. */
export function supposedOutcome(
  said: Pick<Outcome, 'code' | 'model' | 'domain' | 'signal' | 'time'>,
  { cell }: Pick<DecodedCode, 'cell'>,
): Evidence {
  return {
    ...said,
    answer: '',
    observer: 'h',
    observerWeight: 1,
    noisy: false,
    intervention: 0,
    revision: 0,
    withdrawn: false,
    author: SELF,
    expires: Number.POSITIVE_INFINITY,
    cell,
    sharpness: 1,
    traces: { own: { lean: 0, told: 0 }, crowd: { lean: 0, told: 0 } },
    family: modelFamily(said.model),
    place: 0,
  }
}
