/** How the practice model cuts text into tokens and how sure of each it claims to be, for usage counts and logprobs. */
import { createHash } from 'node:crypto'

/** At most 5 letters or 3 digits or one other sign, each with the white space before it. */
const PIECE = /\s*(?:[\p{L}\p{M}]{1,5}|\p{N}{1,3}|[^\s\p{L}\p{M}\p{N}])|\s+/gu

/** Word pieces, which joined give `text` again. */
export function tokenize(text: string): string[] {
  return text.match(PIECE) ?? []
}

/** As `tokenize(text).length`, but without keeping the pieces: 0.1 s instead of 1.5 s for 32 MiB. */
export function countTokens(text: string): number {
  let count = 0
  PIECE.lastIndex = 0
  while (PIECE.test(text)) count++
  return count
}

export interface TokenLogprob {
  token: string
  /** Natural logarithm of the probability, at most 0. */
  logprob: number
  /** UTF-8. */
  bytes: number[]
}

export interface TokenLogprobs extends TokenLogprob {
  top_logprobs: TokenLogprob[]
}

/** What a chat completion may ask for. */
export const MAX_TOP_LOGPROBS = 20

/** The tokens that take what probability the chosen one leaves; any would do. */
const ALTERNATIVES =
  ' the| a| is| of| and| to| in| it| that| not| or| about| some| one| no| yes| maybe| then| so| more| less'.split('|')

/**
 * The probability the model claims for the token at `index`: spread around `confidence` by a hash, so that a completion
 * looks alive, repeats exactly, and has ln(confidence) as its expected mean.
 */
export function tokenLogprobs(token: string, index: number, confidence: number, top: number): TokenLogprobs {
  const logprob = Math.log(confidence) * (0.5 + hashFraction(`${index} ${token}`))
  const rest = 1 - Math.exp(logprob)
  const others = ALTERNATIVES.filter(other => other !== token)
    .slice(0, Math.max(0, top - 1))
    .map((other, rank) => entry(other, Math.log(rest) - (rank + 1) * Math.LN2))
  const chosen = entry(token, logprob)
  return { ...chosen, top_logprobs: top === 0 ? [] : [chosen, ...others] }
}

/** 0 to below 1, the same for the same text. */
export function hashFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32
}

function entry(token: string, logprob: number): TokenLogprob {
  return { token, logprob, bytes: [...Buffer.from(token, 'utf8')] }
}
