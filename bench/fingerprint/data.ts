/** Reads the public sets that fingerprints are judged by, from the folder that holds them beside the checkout. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Pairs {
  a: string[]
  b: string[]
  /** How alike people found them; for paraphrases 0 or 1. */
  scores: number[]
}

export interface Labelled {
  train: { text: string; label: string }[]
  test: { text: string; label: string }[]
}

export interface Outcomes {
  texts: string[]
  /** One row a text: how well each model answered it, 0..1. */
  right: number[][]
}

export const readers = {
  /** STS Benchmark (Cer et al. 2017), test part. */
  stsb: (folder: string): Pairs => pairs(tabbed(join(folder, 'data/text/stsb/sts-test.csv')), 5, 6, 4),
  /** Microsoft Research Paraphrase Corpus (Dolan & Brockett 2005), test part. */
  mrpc: (folder: string): Pairs =>
    pairs(tabbed(join(folder, 'data/text/mrpc/msr_paraphrase_test.txt')).slice(1), 3, 4, 0),
  /** CLINC150 (Larson et al. 2019), its 150 intents without the out-of-scope part. */
  clinc(folder: string): Labelled {
    const data = JSON.parse(read(join(folder, 'data/text/clinc150/data_full.json'))) as Record<
      'train' | 'test',
      string[][]
    >
    const labelled = (rows: string[][]) => rows.map(([text = '', label = '']) => ({ text, label }))
    return { train: labelled(data.train), test: labelled(data.test) }
  },
  /** BANKING77 (Casanueva et al. 2020). */
  banking(folder: string): Labelled {
    const part = (name: string) =>
      commaSeparated(read(join(folder, 'data/text/banking77', name)))
        .slice(1)
        .map(([text = '', label = '']) => ({ text, label }))
    return { train: part('train.csv'), test: part('test.csv') }
  },
  /** Which of nine open models answered which question rightly (LLMRouter). */
  llmrouter(folder: string): Outcomes {
    const base = join(folder, 'data/outcomes/llmrouter-dc/llmrouter-dc')
    const right = new Map(
      lines(`${base}.outcomes.csv`)
        .slice(1)
        .map(line => line.split(','))
        .map(([id = '', ...cells]) => [id, cells.map(Number)]),
    )
    const known = lines(`${base}.questions.jsonl`)
      .map(line => JSON.parse(line) as { id: string; text: string })
      .filter(({ id }) => right.has(id))
    return { texts: known.map(({ text }) => text), right: known.map(({ id }) => right.get(id) ?? []) }
  },
}

/** A sentence, its opposite, and the sentence in other words. Ours; see the file's first line. */
export function readOpposites(): { text: string; opposite: string; paraphrase: string }[] {
  return lines(join(import.meta.dirname, 'opposites.tsv'))
    .filter(line => !line.startsWith('#'))
    .map(line => line.split('\t'))
    .map(([text = '', opposite = '', paraphrase = '']) => ({ text, opposite, paraphrase }))
}

function pairs(rows: string[][], a: number, b: number, score: number): Pairs {
  return {
    a: rows.map(row => row[a] ?? ''),
    b: rows.map(row => row[b] ?? ''),
    scores: rows.map(row => Number(row[score])),
  }
}

function read(file: string): string {
  return readFileSync(file, 'utf8').replace(/^\ufeff/, '')
}

function lines(file: string): string[] {
  return read(file).trimEnd().split(/\r?\n/)
}

/** Fields hold quotation marks of their own, which mean nothing. */
function tabbed(file: string): string[][] {
  return lines(file).map(line => line.split('\t'))
}

/** RFC 4180: a field in quotation marks may hold commas, line breaks, and quotation marks written twice. */
export function commaSeparated(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (end === '' && row.length === 0 && quoted === undefined && plain === '') break
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}
