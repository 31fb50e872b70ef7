/** `qis space explain`: what a text looks like to the swarm, how much of it could leave, and what it is taken to be like. */
import { parseArgs } from 'node:util'
import type { Embedder } from '../../embeddings/embedder.ts'
import { readCorpus, seededRandom } from '../../embeddings/train/corpus.ts'
import { createEmbedding } from '../../proxy/embedding.ts'
import { coarsened } from '../../router/disclosure.ts'
import { dotTable, encode, nearestCells, project, referenceTexts } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { type CommandIo, UsageError } from '../command.ts'
import { createProgress, type Progress } from '../progress.ts'
import { CHOICE_OPTIONS, readChoice } from './choice.ts'
import { KS } from './survey.ts'

const PROBES = 8
const NEAREST_TEXTS = 5
const BATCH = 64

interface Neighbour {
  text: string
  /** Cosine of the projected vectors, -1..1. */
  similarity: number
  code: string
}

export async function explain(args: readonly string[], { out, err, env, signal }: CommandIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...CHOICE_OPTIONS, corpus: { type: 'string' }, json: { type: 'boolean', default: false } },
  })
  const [text = ''] = positionals
  if (positionals.length !== 1 || text.trim() === '') throw new UsageError('one text is explained at a time; quote it')
  const choice = readChoice(env, values)
  const warn = (_details: unknown, message = '') => void err.write(`${message}\n`)
  const { embedder: made, space } = await createEmbedding(choice, { debug() {}, info() {}, warn })
  await using embedder = made

  const [raw] = await embedder.embed([text], { signal })
  if (!raw?.some(component => component !== 0)) {
    err.write('there is no word in this text that the embedder knows: it has no fingerprint\n')
    return 1
  }
  const query = project(space, raw)
  const table = dotTable(space, query)
  const code = encode(space, table)
  const counts = ([2, 3, 4] as const).map(digits => referenceTexts(space, code, digits))
  const disclosed = Object.fromEntries(
    KS.map(k => [`k${k}`, coarsened(code, k, (of, digits) => referenceTexts(space, of, digits)) ?? null]),
  )
  const progress = createProgress(err)
  const nearest =
    values.corpus === undefined
      ? undefined
      : await nearestTexts(values.corpus, { space, embedder, query, progress, signal }).finally(progress.clear)
  const found = {
    space: space.name,
    id: space.id,
    code,
    cell: code.slice(0, 2),
    nearestCells: nearestCells(space, table, PROBES).map(cell => cell.toString(16).padStart(2, '0')),
    referenceTexts: counts,
    disclosed,
    ...(nearest && { nearest }),
  }
  out.write(values.json ? `${JSON.stringify(found)}\n` : describe(found))
  return 0
}

interface Search {
  space: Space
  embedder: Embedder
  query: Float32Array
  progress: Progress
  signal: AbortSignal
}

async function nearestTexts(
  corpus: string,
  { space, embedder, query, progress, signal }: Search,
): Promise<Neighbour[]> {
  const texts = (await readCorpus(corpus, seededRandom(1))).flat()
  let nearest: Neighbour[] = []
  for (let at = 0; at < texts.length; at += BATCH) {
    progress.show('comparing', at, texts.length)
    const batch = texts.slice(at, at + BATCH)
    const vectors = (await embedder.embed(batch, { signal })).map(vector => project(space, vector))
    const scored = vectors.map((vector, i) => ({ i, vector, similarity: cosine(query, vector) }))
    const least = nearest.length < NEAREST_TEXTS ? Number.NEGATIVE_INFINITY : (nearest.at(-1)?.similarity ?? 0)
    const better = scored.filter(({ similarity }) => similarity > least)
    nearest = [
      ...nearest,
      ...better.map(({ i, vector, similarity }) => ({
        text: batch[i] ?? '',
        similarity,
        code: encode(space, dotTable(space, vector)),
      })),
    ]
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, NEAREST_TEXTS)
    // An embedder of microseconds never waits, and would not let a signal in.
    await new Promise(setImmediate)
  }
  return nearest
}

/** Both of length 1, or zero. */
function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, component, i) => sum + component * (b[i] ?? 0), 0)
}

interface Found {
  space: string
  id: string
  code: string
  cell: string
  nearestCells: string[]
  referenceTexts: number[]
  disclosed: Record<string, string | null>
  nearest?: Neighbour[]
}

function describe(found: Found): string {
  const { space, id, code, cell, referenceTexts } = found
  const shared = referenceTexts.map((count, i) => `${code.slice(0, i + 2)} with ${count}`).join(', ')
  const lines = [
    `space      ${space}, id ${id}`,
    `code       ${code}`,
    `cell       ${cell}; evidence is read from ${found.nearestCells.join(' ')}`,
    `shared     ${shared} reference texts`,
    ...KS.map(k => `k = ${k}     ${disclosedText(found.disclosed[`k${k}`])}`),
    ...(found.nearest ?? []).map(
      ({ text, similarity, code }) => `${similarity.toFixed(3)}      ${code}  ${oneLine(text)}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}

function disclosedText(prefix: string | null | undefined): string {
  return prefix ? `${prefix.length} digits may leave: ${prefix}` : 'nothing may leave'
}

function oneLine(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`
}
