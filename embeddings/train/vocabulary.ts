/** Chooses the words and the pairs of words that get a row of their own in the built-in embedder's table. */
import { DENSE } from '../unit-classes.ts'
import { numberHash, readWords } from '../words.ts'

export interface VocabularyLimits {
  words: number
  pairs: number
}

/** Seen in fewer texts, a pair is chance. */
const LEAST_PAIR_TEXTS = 8
/** The score of what may not be missing. */
const ALWAYS = 1e9

/**
 * The most frequent words and pairs, a set of texts counting by the square root of its frequencies, so that a large
 * set does not crowd out the words of a small one; and `known`, common words that must not be missing.
 */
export function chooseVocabulary(
  sets: readonly (readonly string[])[],
  known: readonly string[],
  limits: VocabularyLimits,
): { words: Map<number, string>; pairs: number[] } {
  const spellings = new Map<number, string>()
  const wordScores = new Map<number, number>()
  const pairScores = new Map<number, number>()
  for (const texts of sets) {
    const wordTexts = new Map<number, number>()
    const pairTexts = new Map<number, number>()
    for (const text of texts) {
      const { count, kinds, hashes, pairs, starts, ends, units } = readWords(text)
      const seen = new Set<number>()
      for (let i = 0; i < count; i++) {
        if (kinds[i] === DENSE) continue
        const hash = hashes[i] as number
        if (!spellings.has(hash)) {
          spellings.set(hash, String.fromCharCode(...units.subarray(starts[i] as number, ends[i] as number)))
        }
        if (!seen.has(hash)) wordTexts.set(hash, (wordTexts.get(hash) ?? 0) + 1)
        const pair = pairs[i] as number
        if (!seen.has(pair)) pairTexts.set(pair, (pairTexts.get(pair) ?? 0) + 1)
        seen.add(hash)
        seen.add(pair)
      }
    }
    for (const [hash, n] of wordTexts) if (n > 1) wordScores.set(hash, (wordScores.get(hash) ?? 0) + Math.sqrt(n))
    for (const [hash, n] of pairTexts) {
      if (n >= LEAST_PAIR_TEXTS) pairScores.set(hash, (pairScores.get(hash) ?? 0) + Math.sqrt(n))
    }
  }
  known.forEach((word, rank) => {
    const hash = readWords(word).hashes[0] as number
    spellings.set(hash, word)
    wordScores.set(hash, (wordScores.get(hash) ?? 0) + 3 * (1 - rank / known.length))
  })
  for (let digits = 1; digits <= 9; digits++) {
    wordScores.set(numberHash(digits), ALWAYS)
    spellings.set(numberHash(digits), '#'.repeat(digits))
  }
  const best = (scores: Map<number, number>, limit: number) =>
    [...scores]
      .sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || a - b)
      .slice(0, limit)
      .map(([hash]) => hash)
  const words = new Map(best(wordScores, limits.words).map(hash => [hash, spellings.get(hash) ?? '']))
  return { words, pairs: best(pairScores, limits.pairs).filter(hash => !words.has(hash)) }
}
