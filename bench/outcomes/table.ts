/** Reads a table of outcomes: which model answered which question how well. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom, shuffle } from '../../embeddings/train/corpus.ts'

export interface Question {
  text: string
  /** For the `d` of a packet in tagged runs, and for nothing else; '' where the table has none. */
  task: string
  /** How well each model answered, 0..1, NaN where nobody tried. */
  outcomes: number[]
}

export interface OutcomeTable {
  models: string[]
  questions: Question[]
}

/** @param folder holds `<name>.questions.jsonl` and `<name>.outcomes.csv` */
export function readTable(folder: string): OutcomeTable {
  const file = readdirSync(folder).find(name => name.endsWith('.outcomes.csv'))
  if (file === undefined) throw new Error(`${folder} holds no <name>.outcomes.csv`)
  const name = file.slice(0, -'.outcomes.csv'.length)
  const [header = '', ...rows] = lines(join(folder, file))
  const models = header.split(',').slice(1)
  const outcomes = new Map(
    rows.map(row => {
      const [id = '', ...cells] = row.split(',')
      return [id, cells.map(cell => (cell === '' ? Number.NaN : Number(cell)))]
    }),
  )
  const questions = lines(join(folder, `${name}.questions.jsonl`)).flatMap(line => {
    const { id, text, task = '' } = JSON.parse(line) as { id: string; text: string; task?: string }
    const row = outcomes.get(id)
    return row && text.trim() !== '' ? [{ text, task, outcomes: row }] : []
  })
  return { models, questions }
}

/** Questions nobody has asked yet, and those that packets are made of; dealt out by the seed. */
export function deal(count: number, seed: number, tested: number): { test: number[]; train: number[] } {
  const order = Array.from({ length: count }, (_, i) => i)
  shuffle(order, seededRandom(seed))
  return { test: order.slice(0, tested), train: order.slice(tested) }
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}
