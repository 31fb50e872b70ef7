/**
 * Says how well a space predicts which questions a model answers: mean AUC and Brier skill over the models of an
 * outcome table, with a kernel mean over packets, for exact vectors and for codes of several lengths.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decode, dotTable, encode, nearestCells, project, similarity } from '../../router/fingerprint.ts'
import { loadSpace, type Space } from '../../router/space.ts'
import { createStaticEmbedder } from '../static.ts'
import { BUILT_IN_SPACE } from '../table.ts'
import { createTransformersEmbedder } from '../transformers.ts'
import { seededRandom, shuffle } from './corpus.ts'

const ROOT = join(import.meta.dirname, '../..')
const PACKETS = 4_000
const QUERIES = 1_500
const PRIOR_WEIGHT = 0.05
const TEMPERATURE = 0.1
const PROBES = 8

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    outcomes: { type: 'string', default: join(ROOT, '../shared/data/outcomes/llmrouter-dc/llmrouter-dc') },
    model: { type: 'string', default: join(ROOT, '../shared/models/potion-base-2M-int8') },
    spaces: { type: 'string', default: join(ROOT, 'embeddings/spaces') },
    seed: { type: 'string', default: '1' },
  },
})

const name = positionals[0] ?? BUILT_IN_SPACE
const space = await loadSpace(join(values.spaces, name))
await using embedder =
  name === BUILT_IN_SPACE
    ? createStaticEmbedder()
    : await createTransformersEmbedder({ model: values.model, space: name })

const outcomes = new Map<string, number[]>()
for (const line of (await readFile(`${values.outcomes}.outcomes.csv`, 'utf8')).trim().split('\n').slice(1)) {
  const [id = '', ...cells] = line.split(',')
  outcomes.set(id, cells.map(Number))
}
const questions: { vector: Float32Array; right: number[] }[] = []
for (const line of (await readFile(`${values.outcomes}.questions.jsonl`, 'utf8')).trim().split('\n')) {
  const { id, text } = JSON.parse(line) as { id: string; text: string }
  const [raw] = await embedder.embed([text])
  const right = outcomes.get(id)
  if (raw !== undefined && right !== undefined) questions.push({ vector: project(space, raw), right })
}
shuffle(questions, seededRandom(Number(values.seed)))
const packets = questions.slice(0, PACKETS)
const queries = questions.slice(PACKETS, PACKETS + QUERIES)

const codes = packets.map(packet => encode(space, dotTable(space, packet.vector)))
report('exact', query => packets.map(packet => cosine(query, packet.vector)))
for (const digits of [16, 9, 6, 4, 3, 2]) {
  const decoded = codes.map(code => decode(space, code.slice(0, digits)))
  report(`${digits} digits`, query => {
    const table = dotTable(space, query)
    return decoded.map(code => similarity(table, code))
  })
}
const decoded = codes.map(code => decode(space, code))
let received = 0
report(`16 digits, ${PROBES} probes`, query => {
  const table = dotTable(space, query)
  const near = new Set(nearestCells(space, table, PROBES))
  return decoded.map(code => {
    if (!near.has(code.cell)) return Number.NEGATIVE_INFINITY
    received++
    return similarity(table, code)
  })
})
console.log(
  `${PROBES} probes receive ${((100 * received) / (queries.length * packets.length)).toFixed(1)} % of packets`,
)
printPrivacy(space)

/** `similarities` of a query to all packets, in their order. */
function report(label: string, similarities: (query: Float32Array) => number[]): void {
  const models = packets[0]?.right.length ?? 0
  const base = Array.from({ length: models }, (_, m) => mean(packets.map(packet => packet.right[m] as number)))
  const predicted = queries.map(query => {
    const weights = similarities(query.vector).map(s => Math.exp((s - 1) / TEMPERATURE))
    const total = weights.reduce((sum, weight) => sum + weight, PRIOR_WEIGHT)
    return base.map((rate, m) => {
      let sum = 0
      weights.forEach((weight, i) => {
        sum += weight * ((packets[i]?.right[m] as number) - rate)
      })
      return rate + sum / total
    })
  })
  const aucs = base.map((_, m) =>
    auc(
      predicted.map(p => p[m] as number),
      queries.map(q => q.right[m] as number),
    ),
  )
  const skills = base.map((rate, m) => {
    const error = (p: (row: number) => number) => mean(queries.map((q, row) => (p(row) - (q.right[m] as number)) ** 2))
    return 1 - error(row => predicted[row]?.[m] as number) / error(() => rate)
  })
  console.log(`${name} ${label}: AUC ${mean(aucs).toFixed(3)}, Brier skill ${mean(skills).toFixed(3)}`)
}

/** How many of the queries disclose 2, 3 and 4 digits under a k-map. */
function printPrivacy({ counts }: Space): void {
  for (const k of [20, 50]) {
    const shares = counts.map((table, i) =>
      mean(
        queries.map(q =>
          (table[Number.parseInt(encode(space, dotTable(space, q.vector)).slice(0, i + 2), 16)] as number) >= k ? 1 : 0,
        ),
      ),
    )
    console.log(`k = ${k}: ${shares.map((share, i) => `${i + 2} digits ${(100 * share).toFixed(0)} %`).join(', ')}`)
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

/** Share of (right, wrong) pairs in the right order; ties count one half. */
function auc(scores: readonly number[], labels: readonly number[]): number {
  const order = scores
    .map((score, i) => ({ score, right: (labels[i] as number) > 0.5 }))
    .sort((a, b) => a.score - b.score)
  let wrong = 0
  let pairs = 0
  for (let i = 0; i < order.length; ) {
    let end = i
    while (end < order.length && order[end]?.score === order[i]?.score) end++
    const tied = order.slice(i, end)
    const tiedWrong = tied.filter(item => !item.right).length
    pairs += (tied.length - tiedWrong) * (wrong + tiedWrong / 2)
    wrong += tiedWrong
    i = end
  }
  return pairs / (wrong * (order.length - wrong))
}
