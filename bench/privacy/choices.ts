/** What a profile could have chosen otherwise, and what that would tell an insider: other k, other steps of confidence. */
import { profiles } from '../../router/disclosure.ts'
import type { Space } from '../../router/space.ts'
import { mean } from '../fingerprint/measures.ts'
import { disclosedCode } from '../outcomes/prepare.ts'
import { classesOf, truthAuc } from './attacks.ts'

const KS = [20, 50, 100, 200, 400, 1_000]

export interface KFigures {
  k: number
  /** Share of the texts of which anything leaves, and digits of those on average. */
  left: number
  digits: number
  /** How often the true text is the first guess, on his list and among all of the population beside it. */
  top1: number
  top1_population: number
}

/** @param listed codes of the texts on his list; each is asked once */
export function attackKs(space: Space, listed: readonly string[], population: readonly string[]): KFigures[] {
  return KS.map(k => {
    const tell = (code: string) => disclosedCode(space, { ...profiles.standard, k }, code) ?? ''
    const told = listed.map(tell)
    const left = told.filter(code => code !== '')
    const [list, all] = [classesOf(told), classesOf([...told, ...population.map(tell)])]
    const guess = (among: typeof list) => mean(left.map(code => 1 / (among.get(code)?.length ?? Number.NaN)))
    return {
      k,
      left: left.length / listed.length,
      digits: mean(left.map(({ length }) => length)),
      top1: guess(list),
      top1_population: guess(all),
    }
  })
}

/** 0 to leave it out. */
const STEPS = [20, 10, 4, 2, 0]

export interface ConfidenceFigures {
  steps: number
  /** Of telling the true text from others of its code, and how often it is the first guess of the list. */
  auc: number
  top1: number
}

/**
 * An attacker who has the same model answer every text on his list, with the very same confidence.
 *
 * @param codes as `standard` discloses them
 * @param confidence of the model in its answer to each, 0..1
 */
export function attackConfidences(codes: readonly string[], confidence: readonly number[]): ConfidenceFigures[] {
  const classes = [...classesOf(codes)].filter(([code]) => code !== '').map(([, members]) => members)
  return STEPS.map(steps => {
    const told = confidence.map(own => (steps === 0 ? 0 : Math.round(own * steps) / steps))
    const aucs: number[] = []
    const first: number[] = []
    for (const members of classes) {
      for (const [place, target] of members.entries()) {
        const heard = told[target] as number
        const near = members.map(index => (steps === 0 ? 0 : -Math.abs((confidence[index] as number) - heard)))
        const auc = truthAuc(near, place)
        if (auc !== undefined) aucs.push(auc)
        first.push(1 / members.filter(index => told[index] === heard).length)
      }
    }
    return { steps, auc: mean(aucs), top1: mean(first) }
  })
}
