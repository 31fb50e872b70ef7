/** Decides whether a prompt gets an instruction: where corrections of such answers ask for it, and a trial does not say no. */
import type { Router } from '../../router/router.ts'
import { correctionShares } from '../../router/synthesis/corrections.ts'
import { weighNearby } from '../../router/synthesis/nearby.ts'
import { operationOf } from '../observe/operation.ts'
import { placeInstruction } from '../query/instruction.ts'
import type { Templates } from './templates.ts'
import type { TrialMark, Trials } from './trials.ts'

export interface Refinement extends TrialMark {
  instruction: string
}

export interface Refining {
  /** Undefined for most questions: those that the corrections seen say nothing of, and those that have no place for it. */
  consider(question: { url: string; body: Buffer; domain: string; vector: Float32Array }): Refinement | undefined
}

export interface RefiningOptions {
  /** With those below them; `*` for all. */
  domains: readonly string[]
  /** Share of corrections of one type from which its instruction is added, 0..1. */
  threshold: number
  /** Share of such requests that go without it, 0..1. */
  holdout: number
}

export function createRefining(
  components: {
    router: Pick<Router, 'around'>
    templates: Templates
    trials: Pick<Trials, 'of'>
    onConsidered?(refinement: TrialMark): void
    random?: () => number
    clock?: () => number
  },
  { domains, threshold, holdout }: RefiningOptions,
): Refining {
  const { router, templates, trials, onConsidered, random = Math.random, clock = Date.now } = components
  const everywhere = domains.includes('*')
  const allowed = (domain: string) =>
    everywhere || domains.some(name => domain === name || domain.startsWith(`${name}.`))

  return {
    consider({ url, body, domain, vector }) {
      if (!allowed(domain)) return undefined
      const { neighbours, standing } = router.around(vector)
      const nearby = weighNearby(neighbours, { domain, now: Math.floor(clock() / 1000), standing })
      for (const { type, share } of correctionShares(nearby)) {
        if (share === 0 || share < threshold) return undefined
        if (trials.of(type, domain)?.state !== 'running') continue
        const instruction = templates[type]
        if (!placeInstruction(operationOf(url), body, instruction)) return undefined
        const refinement = { type, treated: random() >= holdout, instruction }
        onConsidered?.(refinement)
        return refinement
      }
      return undefined
    },
  }
}
