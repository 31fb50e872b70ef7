/** Data that may not be part of the repository lies beside it; tests that need it skip where it is missing. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const SHARED = join(import.meta.dirname, '../../../shared')

export const POTION = join(SHARED, 'models/potion-base-2M-int8')
export const QUESTIONS = join(SHARED, 'data/text/banking77/test.csv')
/** Tab-separated sentence pairs, scored 0 to 5 in the fifth column. */
export const PAIRS = join(SHARED, 'data/text/stsb/sts-dev.csv')
/** all-MiniLM-L6-v2 in transformers.js layout, for those who have made or fetched it. */
export const MINILM = process.env.QIS_TEST_MINILM ?? ''
export const withoutMiniLm = MINILM === '' && 'QIS_TEST_MINILM names no folder of all-MiniLM-L6-v2'
export const SPACES = join(import.meta.dirname, '../../embeddings/spaces')

/** False when a path is there; otherwise why the test cannot run. Where the data must be, its absence is a failure. */
export function missing(path: string): string | false {
  if (existsSync(path) || (process.env.CI !== undefined && existsSync(SHARED))) return false
  return `${path} is missing`
}
