/** What each step from text to similarity costs on this machine, microseconds a text of 200 characters. */
import type { Embedder } from '../../embeddings/embedder.ts'
import {
  type DecodedCode,
  decode,
  dotTable,
  encode,
  nearestCells,
  project,
  similarity,
} from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'

export interface Speed {
  embed: number
  project: number
  tables: number
  encode: number
  probes: number
  decode: number
  similarity: number
}

const REPEATS = 5
const CHARACTERS = 200

/** All different, so that nothing can be remembered. */
function texts(count: number): string[] {
  const words =
    'how may the patient change dose of insulin when glucose falls below 70 mg per decilitre after sport'.split(' ')
  return Array.from({ length: count }, (_, i) => {
    const shuffled = Array.from({ length: 60 }, (_, j) => words[(i * 7 + j * (1 + (i % 11))) % words.length])
    return `${i} ${shuffled.join(' ')}`.slice(0, CHARACTERS)
  })
}

export async function measureSpeed(embedder: Embedder, space: Space): Promise<Speed> {
  const rounds = embedder.inline ? 3_000 : 200
  const asked = texts(rounds)
  const raw: Float32Array[] = []
  let embed = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    raw.length = 0
    const begun = performance.now()
    for (const text of asked) raw.push(...(await embedder.embed([text])))
    embed = Math.min(embed, (1_000 * (performance.now() - begun)) / rounds)
  }
  const at = (i: number) => raw[i % raw.length] as Float32Array
  const [projectUs, projected] = time(i => project(space, at(i)))
  const [tables, dotTables] = time(i => dotTable(space, projected[i] as Float32Array))
  const [encodeUs, codes] = time(i => encode(space, dotTables[i] as Float32Array))
  const [probes] = time(i => nearestCells(space, dotTables[i] as Float32Array, 8))
  const [decodeUs, decoded] = time(i => decode(space, codes[i] as string))
  const [similarityUs] = time(i => similarity(dotTables[0] as Float32Array, decoded[i] as DecodedCode))
  return { embed, project: projectUs, tables, encode: encodeUs, probes, decode: decodeUs, similarity: similarityUs }
}

/** The best of a few repeats, and what the last one gave. */
function time<T>(step: (index: number) => T): [microseconds: number, results: T[]] {
  const rounds = 3_000
  let results: T[] = []
  let best = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const begun = performance.now()
    results = Array.from({ length: rounds }, (_, index) => step(index))
    best = Math.min(best, performance.now() - begun)
  }
  return [(1_000 * best) / rounds, results]
}
