/** Questions without end for benchmarks: real ones when a corpus is at hand, else made of the project's own words. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Text of about `chars` characters; another seed is another question. */
export type MakeQuestion = (seed: number, chars: number) => string

const ROOT = join(import.meta.dirname, '../..')

/** @param corpus folder of `.txt` files, one text a line */
export function readQuestions(corpus?: string): MakeQuestion {
  const lines = corpus === undefined ? ownSentences() : linesOf(corpus)
  return (seed, chars) => {
    // Far apart, so that neighbours in the corpus are not neighbours in time.
    let at = Math.imul(seed + 1, 2654435761) >>> 0
    let text = `${lines[at % lines.length]}`
    while (text.length < chars) text += ` ${lines[++at % lines.length]}`
    return `${text.slice(0, chars)} ${seed}`
  }
}

function linesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.txt'))
    .sort()
    .flatMap(name => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter(line => line !== '')
}

/** Sentences of the documents and comments: some thousands, on few subjects, so cells fill less evenly than in life. */
function ownSentences(): string[] {
  const files = ['proxy', 'router', 'embeddings', 'test', 'docs', 'demo'].flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(name => join(ROOT, folder, name)),
  )
  return files
    .filter(file => /\.(ts|md)$/.test(file))
    .sort()
    .flatMap(file => readFileSync(file, 'utf8').match(/[A-Z][a-z][^.:;{}()`|]{40,160}[.:;]/g) ?? [])
    .map(sentence => sentence.replace(/[\s*/]+/g, ' '))
}
