/** Reads a table of outcomes: which of several models answered which question rightly. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TableRow {
  text: string
  task: string
  /** 0..1, one a model. */
  right: number[]
}

export interface Table {
  /** Priced by their size, billions of parameters, where the name tells it. */
  models: { name: string; price: number }[]
  rows: TableRow[]
}

/** @param folder with `<name>.outcomes.csv` and `<name>.questions.jsonl` */
export function readTable(folder: string): Table {
  const file = (end: string) => {
    const name = readdirSync(folder).find(one => one.endsWith(end))
    if (name === undefined) throw new Error(`${folder} has no file *${end}`)
    return readFileSync(join(folder, name), 'utf8').trim().split('\n')
  }
  const [header = '', ...lines] = file('.outcomes.csv')
  const models = header
    .split(',')
    .slice(1)
    .map(name => ({ name, price: Number(/(\d+(?:\.\d+)?)b\b/.exec(name)?.[1] ?? 0) }))
  const right = new Map(lines.map(line => line.split(',')).map(([id = '', ...cells]) => [id, cells.map(Number)]))
  const rows = file('.questions.jsonl').flatMap(line => {
    const { id, text, task } = JSON.parse(line) as { id: string; text: string; task?: string }
    const outcomes = right.get(id)
    return outcomes
      ? [
          {
            text,
            task: (task ?? 'general')
              .toLowerCase()
              .replace(/[^a-z0-9._-]/g, '-')
              .slice(0, 32),
            right: outcomes,
          },
        ]
      : []
  })
  return { models, rows }
}
