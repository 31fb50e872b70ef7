/** An attacker who knows how the model does on every text: what a told rating, in clear or noisy, gives away beside the code. */
import type { Random } from '../../embeddings/train/corpus.ts'
import { type DisclosureProfile, type ProfileName, profiles } from '../../router/disclosure.ts'
import { flipProbability, randomised } from '../../router/randomised-response.ts'
import type { Space } from '../../router/space.ts'
import { mean } from '../fingerprint/measures.ts'
import { classesOf, truthAuc } from './attacks.ts'
import { promised } from './dictionary.ts'

/**
 * Of telling the question from others that share the prefix it is to be hidden in, by the rating alone.
 *
 * @param right for each question, how well each model answered it, 0 or 1
 */
export function aucKnowingOutcomes(
  space: Space,
  name: ProfileName,
  codes: readonly string[],
  right: readonly (readonly number[])[],
  random: Random,
): number {
  const { epsilon }: DisclosureProfile = profiles[name]
  const classes = classesOf(codes.map(code => promised(space, name, code)))
  const flip = epsilon === undefined ? 0 : flipProbability(epsilon)
  const aucs: number[] = []
  for (const [code, members] of classes) {
    if (code === '') continue
    for (const [place, question] of members.entries()) {
      const model = Math.floor(random() * (right[question]?.length ?? 0))
      const outcomeOf = (index: number) => right[index]?.[model] as number
      const clear = outcomeOf(question)
      const told = epsilon === undefined ? clear : randomised(clear, epsilon, random())
      const likelihoods = members.map(index => (outcomeOf(index) === told ? 1 - flip : flip))
      const auc = truthAuc(likelihoods, place)
      if (auc !== undefined) aucs.push(auc)
    }
  }
  return mean(aucs)
}
