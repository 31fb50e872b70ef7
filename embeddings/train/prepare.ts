/**
 * Chooses the built-in embedder's vocabulary and writes what it sees in each text, for distil/distil.py to learn from:
 * `node embeddings/train/prepare.ts <work folder>`, where distil/texts.py has written the lists of texts.
 *
 * A list `<name>.json` becomes `<name>.at` (int32: where each text's features begin, and the end), `<name>.rows` (int32)
 * and `<name>.weights` (float32), and `<name>.shapes` (float32, 8 a text); `<name>.typos.*` are the same texts misspelt.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createVocabulary, readFeatures, type Vocabulary } from '../features.ts'
import { measureShape, SHAPE_DIMENSIONS } from '../shape.ts'
import { type Random, seededRandom } from './corpus.ts'
import { chooseVocabulary } from './vocabulary.ts'

const WORDS = 31_000
const PAIRS = 11_000
const GRAMS = 8_192
const TEXTS = [
  'corpus',
  'self-instruct',
  'wordnet-examples',
  'wordnet-glosses',
  'synthetic',
  'clinc-train',
  'banking-train',
]

const work = process.argv[2] ?? '.'
const random = seededRandom(7)
const lists = new Map<string, string[]>()
for (const name of TEXTS) lists.set(name, await readList(name))

const { words, pairs } = chooseVocabulary(sets(await readList('corpus.sources')), await readList('known-words'), {
  words: WORDS,
  pairs: PAIRS,
})
const hashes = Uint32Array.from([...words.keys(), ...pairs])
const spellings = [...words.values()]
await writeFile(join(work, 'hashes.u32'), hashes)
await writeFile(join(work, 'vocabulary.json'), JSON.stringify({ words: spellings, pairs: pairs.length, grams: GRAMS }))

const vocabulary = createVocabulary(hashes, GRAMS)
for (const [name, texts] of lists) {
  await writeFeatures(name, texts, vocabulary)
  await writeFeatures(
    `${name}.typos`,
    texts.map(text => misspell(text, random)),
    vocabulary,
  )
}
// With no vocabulary all is n-grams: what a word is made of.
const onlyGrams = createVocabulary(new Uint32Array(0), GRAMS)
await writeFeatures('vocabulary', spellings, onlyGrams)
await writeFeatures('spellings', await readList('spellings'), onlyGrams)

/** Each source of the corpus is a set of its own. */
function sets(sources: readonly string[]): string[][] {
  const bySource = new Map<string, string[]>()
  lists.get('corpus')?.forEach((text, i) => {
    const source = sources[i] ?? ''
    const texts = bySource.get(source) ?? []
    texts.push(text)
    bySource.set(source, texts)
  })
  const others = TEXTS.filter(name => name !== 'corpus' && name !== 'synthetic').map(name => lists.get(name) ?? [])
  return [...bySource.values(), ...others]
}

/** A quarter of the longer words lose, swap, double or change a letter. */
function misspell(text: string, random: Random): string {
  return text
    .split(' ')
    .map(word => {
      if (word.length < 4 || random() > 0.25) return word
      const at = 1 + Math.floor(random() * (word.length - 2))
      const [before, letter, next, after] = [word.slice(0, at), word[at], word[at + 1], word.slice(at + 2)]
      const kind = random()
      if (kind < 0.3) return `${before}${next}${after}`
      if (kind < 0.6) return `${before}${next}${letter}${after}`
      if (kind < 0.8) return `${before}${letter}${letter}${next}${after}`
      return `${before}${String.fromCharCode(0x61 + Math.floor(random() * 26))}${next}${after}`
    })
    .join(' ')
}

async function writeFeatures(name: string, texts: readonly string[], known: Vocabulary): Promise<void> {
  const at = [0]
  const rows: number[] = []
  const weights: number[] = []
  const shapes = new Float32Array(SHAPE_DIMENSIONS * texts.length)
  const shape = new Float64Array(SHAPE_DIMENSIONS)
  for (const [i, text] of texts.entries()) {
    const { features, words } = readFeatures(text, known)
    measureShape(words, shape)
    shapes.set(shape, SHAPE_DIMENSIONS * i)
    for (let k = 0; k < features.count; k++) {
      rows.push(features.rows[k] as number)
      weights.push(features.weights[k] as number)
    }
    at.push(rows.length)
  }
  await writeFile(join(work, `${name}.at`), Int32Array.from(at))
  await writeFile(join(work, `${name}.rows`), Int32Array.from(rows))
  await writeFile(join(work, `${name}.weights`), Float32Array.from(weights))
  await writeFile(join(work, `${name}.shapes`), shapes)
}

async function readList(name: string): Promise<string[]> {
  return JSON.parse(await readFile(join(work, `${name}.json`), 'utf8'))
}
