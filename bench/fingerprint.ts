/**
 * What fingerprints are worth: how well likeness of vectors and codes follows what people mean, how well it predicts
 * which questions a model answers, what it mistakes for one another, and what it costs.
 */
import { join } from 'node:path'
import { loadSpace } from '../router/space.ts'
import { readArguments } from './arguments.ts'
import { type Candidate, candidates, SPACES } from './fingerprint/candidates.ts'
import { readers } from './fingerprint/data.ts'
import { type Figures, measureCandidate, type Sets } from './fingerprint/measure-candidate.ts'
import { printFigures } from './fingerprint/print.ts'
import { cellAgreement, summarise } from './fingerprint/summary.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  data: {
    type: 'string',
    default: join(import.meta.dirname, '../../shared'),
    help: 'the folder that holds data/ and models/',
  },
  minilm: { type: 'string', help: 'the folder of all-MiniLM-L6-v2' },
  spaces: { type: 'string', default: SPACES, help: 'the folder of the spaces' },
  only: { type: 'string', default: 'builtin,potion,minilm', help: 'some of builtin, potion, minilm, by comma' },
  seed: { type: 'string', default: '1', help: 'of what is drawn by lot' },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)

const sets: Sets = {
  stsb: readSet('stsb', readers.stsb),
  mrpc: readSet('mrpc', readers.mrpc),
  clinc: readSet('clinc', readers.clinc),
  banking: readSet('banking', readers.banking),
  llmrouter: readSet('llmrouter', readers.llmrouter),
}
const measured = new Map<Candidate['name'], Figures>()
for (const candidate of candidates(
  values.data,
  values.minilm ?? join(values.data, 'models/all-MiniLM-L6-v2'),
  values.spaces,
)) {
  if (!values.only.split(',').includes(candidate.name)) continue
  const figures = await measure(candidate)
  if (figures === undefined) continue
  measured.set(candidate.name, figures)
  printFigures(say, candidate.name, figures)
}

const builtin = measured.get('builtin')
const minilm = measured.get('minilm')
const shared = builtin && minilm && cellAgreement(builtin, minilm)
if (shared) {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  say(
    `\nMiniLM's cell of BANKING77's questions is the built-in embedder's: ${percent(shared.sameCell)}, one of its 8 nearest: ${percent(shared.probed)}`,
  )
} else {
  console.log('student_teacher_cell_agreement: not measured, it takes builtin, minilm and BANKING77')
}
console.log(JSON.stringify(summarise(measured, shared)))

/** Says on a line of its own why a set is not there. */
function readSet<T>(name: string, read: (folder: string) => T): T | undefined {
  try {
    return read(values.data)
  } catch (error) {
    console.log(`${name}: not measured, ${(error as Error).message}`)
    return undefined
  }
}

async function measure({ name, create }: Candidate): Promise<Figures | undefined> {
  try {
    await using embedder = await create()
    const space = await loadSpace(join(values.spaces, embedder.space))
    say(`\n${name}: space ${space.name} (${space.id}), ${space.inputDimensions} → ${space.dimensions} dimensions`)
    return await measureCandidate(embedder, space, sets, Number(values.seed))
  } catch (error) {
    console.log(`${name}: not measured, ${(error as Error).message}`)
    return undefined
  }
}
