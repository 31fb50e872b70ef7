/** Questions like few others: are they hidden among as many as was promised, and from whom? */
import { type DisclosureProfile, type ProfileName, profiles } from '../../router/disclosure.ts'
import { referenceTexts } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { mean } from '../fingerprint/measures.ts'
import { disclosedCode } from '../outcomes/prepare.ts'
import { classesOf } from './attacks.ts'

export interface RareFigures {
  questions: number
  /** Share of them of which anything leaves. */
  left: number
  /** How often one of those is found among the texts that the attacker has. */
  recovered: number
  /** The most that any one of them is found. */
  worst: number
}

/** So few reference texts share three digits with a rare question, of 49 on average. */
const RARE_BELOW = 5

/**
 * @param asked codes of questions
 * @param known codes of the texts that an attacker has
 * @param included whether the questions are among those already
 */
export function attackRare(
  space: Space,
  name: ProfileName,
  asked: readonly string[],
  known: readonly string[],
  included: boolean,
): RareFigures {
  const profile: DisclosureProfile = profiles[name]
  const rare = asked.filter(code => referenceTexts(space, code, 3) < RARE_BELOW)
  const suspects = classesOf(known.map(code => disclosedCode(space, profile, code) ?? ''))
  const found = rare.flatMap(code => {
    const disclosed = disclosedCode(space, profile, code)
    return disclosed === undefined ? [] : [1 / ((included ? 0 : 1) + (suspects.get(disclosed)?.length ?? 0))]
  })
  return {
    questions: rare.length,
    left: found.length / rare.length,
    recovered: mean(found),
    worst: Math.max(...found),
  }
}
