/**
 * Says how often example phrases tell the right domain, with the embedder that the settings choose: ten domains, each a
 * public source of texts, some phrases of each as its examples, and others of the same source as questions. What comes
 * from sources of no domain should get none, though some of it is about the same things.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom, shuffle } from '../embeddings/train/corpus.ts'
import { readConfig } from '../proxy/config.ts'
import { createExamples } from '../proxy/domain/examples.ts'
import { createEmbedding } from '../proxy/embedding.ts'
import { readArguments } from './arguments.ts'

const DOMAINS: Record<string, string> = {
  clinical: 'medquad',
  shell: 'nl2bash',
  sql: 'staqc_sql_titles',
  legal: 'legalbench',
  algebra: 'openstax_algebra',
  banking: 'dstc11_banking_finance_insurance',
  security: 'purplellama_cyberseceval',
  travel: 'sgd_user_turns',
  covid: 'covid_qa',
  tables: 'wikitablequestions',
}
const OTHERS = ['nq_open', 'query_wellformedness', 'awesome_chatgpt_prompts', 'taskmaster_user_turns']
const QUESTIONS = 150
const EXAMPLES = [5, 10, 30]
const BATCH = 64

const values = readArguments(import.meta.filename, {
  corpus: {
    type: 'string',
    default: join(import.meta.dirname, '../../shared/data/text/corpus'),
    help: 'the folder with the texts',
  },
  seed: { type: 'string', default: '1', help: 'of what is drawn by lot' },
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
})

const logger = { debug() {}, info() {}, warn: console.error }
const { embedder: made, space } = await createEmbedding(readConfig(), logger)
await using embedder = made
const random = seededRandom(Number(values.seed))

const most = Math.max(...EXAMPLES)
const texts = new Map<string, string[]>()
for (const [name, source] of Object.entries(DOMAINS)) texts.set(name, await sample(source, most + QUESTIONS))
const others: string[] = []
for (const source of OTHERS) others.push(...(await sample(source, QUESTIONS)))
const questions = new Map<string, Float32Array[]>()
for (const [name, all] of texts) questions.set(name, await embedAll(all.slice(most)))
const otherVectors = await embedAll(others)

const results = []
for (const count of EXAMPLES) {
  const phrases = new Map(Array.from(texts, ([name, all]) => [name, all.slice(0, count)]))
  // Known before it resolves, whatever the embedder.
  const inline = { ...embedder, inline: true }
  await using examples = await createExamples(
    { embedder: inline, mean: space.mean, logger },
    { phrases, threshold: undefined },
  )
  const begun = performance.now()
  for (const vector of otherVectors) examples.nearest(vector)
  const us = (1_000 * (performance.now() - begun)) / otherVectors.length
  const told = (vector: Float32Array) => {
    const near = examples.nearest(vector)
    return near && near.similarity >= near.threshold ? near.name : undefined
  }
  const answers = Array.from(questions, ([name, vectors]) =>
    vectors.map(vector => ({ name, found: told(vector) })),
  ).flat()
  const result = {
    embedder: embedder.space,
    examples: count,
    right: share(answers, ({ name, found }) => found === name),
    wrong: share(answers, ({ name, found }) => found !== undefined && found !== name),
    others: share(otherVectors, vector => told(vector) !== undefined),
    us,
  }
  results.push(result)
  if (!values.json) {
    const percent = (value: number) => `${(100 * value).toFixed(0)} %`
    console.log(
      `${result.embedder}, ${count} examples each: right ${percent(result.right)}, wrong ${percent(result.wrong)}, of others ${percent(result.others)}; ${us.toFixed(1)} µs a question`,
    )
  }
}
if (values.json) console.log(JSON.stringify(results))

/** Texts with some words in them. */
async function sample(source: string, count: number): Promise<string[]> {
  const lines = (await readFile(join(values.corpus, `${source}.txt`), 'utf8')).split('\n')
  return shuffle(
    lines.filter(line => line.length > 15),
    random,
  ).slice(0, count)
}

async function embedAll(all: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = []
  for (let at = 0; at < all.length; at += BATCH) vectors.push(...(await embedder.embed(all.slice(at, at + BATCH))))
  return vectors
}

function share<T>(items: readonly T[], is: (item: T) => boolean): number {
  return items.filter(is).length / items.length
}
