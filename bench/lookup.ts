/** What a look-up costs with a store full of live packets: the part of advice that grows with the swarm. */

import { join } from 'node:path'
import { embedText } from '../embeddings/static.ts'
import { BUILT_IN_SPACE } from '../embeddings/table.ts'
import { PROBES } from '../router/comparison.ts'
import { createEvidenceIndex } from '../router/evidence.ts'
import { decode, dotTable, encode, nearestCells, project } from '../router/fingerprint.ts'
import { loadSpace } from '../router/space.ts'
import { estimate, MAX_NEIGHBOURS, MIN_SIMILARITY } from '../router/synthesis/estimator.ts'
import { readArguments } from './arguments.ts'
import { readQuestions } from './proxy/questions.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', help: 'the figures alone, as JSON' },
  packets: { type: 'string', default: '100000', help: 'live ones in the store' },
  corpus: { type: 'string', help: 'a folder of .txt files, a question a line; made-up ones without it' },
})
const question = readQuestions(values.corpus)
const packets = Number(values.packets)
const LOOKUPS = 5_000

const space = await loadSpace(join(import.meta.dirname, '../embeddings/spaces', BUILT_IN_SPACE))
const now = Math.floor(Date.now() / 1000)
const tableOf = (seed: number, chars: number) => dotTable(space, project(space, embedText(question(seed, chars))))
const index = createEvidenceIndex(code => decode(space, code), packets)
for (let packet = 0; packet < packets; packet++) {
  index.put({
    author: `peer-${packet % 500}`,
    answer: packet.toString(16).padStart(16, '0'),
    code: encode(space, tableOf(packet, 60 + (packet % 140))),
    domain: 'general',
    model: packet % 2 === 0 ? 'm' : 'other',
    signal: packet % 3 === 0 ? 0 : 1,
    observer: 'h',
    intervention: 0,
    revision: 0,
    withdrawn: false,
    time: now - (packet % 100) * 3600,
    expires: now + 1_000_000,
  })
}

const tables = Array.from({ length: LOOKUPS }, (_, seed) => tableOf(packets + seed, 200))
const times: number[] = []
let found = 0
for (const table of tables) {
  const begun = performance.now()
  const neighbours = index.near(table, nearestCells(space, table, PROBES), MIN_SIMILARITY, MAX_NEIGHBOURS)
  estimate(neighbours, { model: 'm', domain: 'general', prior: 0.5, now }, index)
  times.push((performance.now() - begun) * 1_000)
  found += neighbours.length
}
times.sort((a, b) => a - b)
const at = (q: number) => Math.round(times[Math.floor(q * (LOOKUPS - 1))] ?? Number.NaN)
console.log(JSON.stringify({ packets, p50_us: at(0.5), p99_us: at(0.99), neighbours: Math.round(found / LOOKUPS) }))
