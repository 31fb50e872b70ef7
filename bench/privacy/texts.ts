/** The public questions that are attacked, and those an attacker knows; all from the folder that holds them beside the checkout. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Random, readCorpus, shuffle } from '../../embeddings/train/corpus.ts'
import { readers } from '../fingerprint/data.ts'
import { type OutcomeTable, readTable } from '../outcomes/table.ts'

export interface KnownText {
  text: string
  /** The set, file or task it comes from, as a domain tag would tell. */
  tag: string
}

export interface TextSets {
  /** Questions that no reference count was made of, as far as their files go. */
  outside: KnownText[]
  /** Of the corpus that the reference counts were made from. */
  corpus: KnownText[]
  /** Intents with their questions. */
  topics: Map<string, string[]>
  /** Which model answers which question. */
  outcomes: OutcomeTable
}

/** @param folder holds data/ */
export async function readTexts(folder: string, random: Random): Promise<TextSets> {
  const [clinc, banking] = [readers.clinc(folder), readers.banking(folder)]
  const outcomes = readTable(join(folder, 'data/outcomes/llmrouter-dc'))
  const labelled = (prefix: string, { train, test }: typeof clinc) =>
    [...train, ...test].map(({ text, label }) => ({ text, topic: `${prefix}.${label}` }))
  const intents = [...labelled('clinc', clinc), ...labelled('banking', banking)]
  const topics = new Map<string, string[]>()
  for (const { text, topic } of intents) {
    const texts = topics.get(topic)
    if (texts) texts.push(text)
    else topics.set(topic, [text])
  }
  const outside = distinct([
    ...intents.map(({ text, topic }) => ({ text, tag: topic.split('.', 1)[0] as string })),
    ...outcomes.questions.map(({ text, task }) => ({ text, tag: task })),
    ...instructions(folder).map(text => ({ text, tag: 'instructions' })),
  ])
  const files = await readCorpus(join(folder, 'data/text/corpus'), random)
  const corpus = files.flatMap((texts, file) => texts.map(text => ({ text, tag: `corpus-${file}` })))
  return { outside, corpus, topics, outcomes }
}

/** Half from outside the corpus, half from it, no text twice. */
export function drawDictionary({ outside, corpus }: TextSets, size: number, random: Random): KnownText[] {
  const half = Math.floor(size / 2)
  const drawn = shuffle([...outside], random).slice(0, half)
  return distinct([...drawn, ...shuffle([...corpus], random).slice(0, size)]).slice(0, size)
}

function distinct(texts: readonly KnownText[]): KnownText[] {
  return [...new Map(texts.toReversed().map(known => [known.text.trim(), known])).values()].reverse()
}

function instructions(folder: string): string[] {
  return ['seed_tasks', 'user_oriented_instructions'].flatMap(name =>
    readFileSync(join(folder, `data/text/self-instruct/${name}.jsonl`), 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as { instruction: string }).instruction),
  )
}
