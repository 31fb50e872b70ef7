/** Whose questions the nodes of the swarm ask: intents of CLINC150 (Larson et al. 2019), one a topic. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom, shuffle } from '../../embeddings/train/corpus.ts'
import { readers } from '../fingerprint/data.ts'

/** Where public data lies, beside the checkout. */
export const SHARED = join(import.meta.dirname, '../../../shared')
export const CLINC = 'data/text/clinc150/data_full.json'

export interface Questions {
  /** 150 kinds of question, each with its texts, in an order that the seed gives. */
  topics: string[][]
  random(): number
  /** Any text of any topic. */
  any(): string
}

/** @throws {Error} saying what is missing and where it can be had */
export function readQuestions(folder: string, seed: number): Questions {
  if (!existsSync(join(folder, CLINC))) {
    throw new Error(
      `${join(folder, CLINC)} is missing: it is CLINC150 (github.com/clinc/oos-eval), and --shared names the folder above`,
    )
  }
  const random = seededRandom(seed)
  const byIntent = new Map<string, string[]>()
  for (const { text, label } of readers.clinc(folder).train) {
    const texts = byIntent.get(label) ?? []
    texts.push(text)
    byIntent.set(label, texts)
  }
  const topics = shuffle([...byIntent.values()], random).map(texts => shuffle(texts, random))
  const of = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T
  return { topics, random, any: () => of(of(topics)) }
}
