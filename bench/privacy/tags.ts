/** What a domain tag discloses beside the code: k counts texts that share the code, and a tag divides them. */
import { type ProfileName, profiles } from '../../router/disclosure.ts'
import type { Space } from '../../router/space.ts'
import { disclosedCode } from '../outcomes/prepare.ts'
import { classesOf, entropy } from './attacks.ts'

export interface TagFigures {
  /** Entropy of the disclosed code over the population, of the tag, and of the tag when the code is known; bits. */
  code_bits: number
  tag_bits: number
  tag_bits_beside_code: number
  /** Share of texts that share both code and tag with fewer than k texts of the population. */
  below_k: number
}

export function measureTags(
  space: Space,
  name: ProfileName,
  population: readonly { code: string; tag: string }[],
): TagFigures {
  const left = population.flatMap(({ code, tag }) => {
    const disclosed = disclosedCode(space, profiles[name], code)
    return disclosed === undefined ? [] : [{ code: disclosed, both: `${disclosed} ${tag}`, tag }]
  })
  const codeBits = entropy(left.map(({ code }) => code))
  const few = [...classesOf(left.map(({ both }) => both)).values()].filter(({ length }) => length < profiles[name].k)
  return {
    code_bits: codeBits,
    tag_bits: entropy(left.map(({ tag }) => tag)),
    tag_bits_beside_code: entropy(left.map(({ both }) => both)) - codeBits,
    below_k: few.reduce((sum, { length }) => sum + length, 0) / left.length,
  }
}
