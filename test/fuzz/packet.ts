/**
 * Fuzzes the packet decoder: `npm run fuzz:packet -- --json`. It lives among the tests because it stands on their other
 * implementation of the format, and because a short run of it is one of them.
 *
 * `--keep FILE` also writes one input of each kind and fate, the shortest, as the regression corpus is kept.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { examine, type Finding } from './examine.ts'
import { type Input, packetInputs } from './packet-inputs.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    inputs: { type: 'string', default: '2000000' },
    seed: { type: 'string', default: String(Date.now() % 0x1_0000_0000) },
    keep: { type: 'string' },
  },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)
/** What takes longer is tried again, to tell a slow input from a pause of the machine or the garbage collector. */
const SLOW_MS = 1
const TRIES = 5

async function again(bytes: Buffer): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let time = 0; time < TRIES; time++) least = Math.min(least, (await examine(bytes)).ms)
  return least
}

const inputs = Number(values.inputs)
const seed = Number(values.seed)
const counts: Record<Finding['verdict'], number> = {
  accepted: 0,
  refused: 0,
  crash: 0,
  accepted_invalid: 0,
  refused_valid: 0,
}
const times: Float32Array = new Float32Array(inputs)
let examined = 0
let slowest = 0
const kept = new Map<string, Input & { verdict: string; reason: string }>()

for (const { kind, bytes } of packetInputs(inputs, seed)) {
  const { verdict, reason, ms } = await examine(bytes)
  counts[verdict] += 1
  times[examined++] = ms
  slowest = Math.max(slowest, ms > SLOW_MS ? Math.min(ms, await again(bytes)) : ms)
  if (verdict !== 'accepted' && verdict !== 'refused') {
    console.error(`${verdict} (seed ${seed}, ${kind}): ${reason}\n${bytes.toString('hex')}`)
    process.exitCode = 1
  }
  if (values.keep !== undefined) {
    const fate = `${verdict} ${reason.replace(/\d+/g, '#').replace(/packet\..*: Unexpected/, 'Unexpected')}`
    if (bytes.length < (kept.get(fate)?.bytes.length ?? Number.POSITIVE_INFINITY))
      kept.set(fate, { kind, bytes, verdict, reason })
  }
  if (examined % 200_000 === 0) say(`${examined} of ${inputs}: ${JSON.stringify(counts)}`)
}

if (values.keep !== undefined) {
  const entries = [...kept.values()].map(entry => ({ ...entry, bytes: entry.bytes.toString('hex') }))
  await writeFile(values.keep, `${JSON.stringify(entries, null, 2)}\n`)
}
times.sort()
const round = (ms: number) => Number(ms.toFixed(3))
console.log(
  JSON.stringify({
    inputs: examined,
    seed,
    accepted: counts.accepted,
    refused_valid: counts.refused_valid,
    p50_ms: round(times[Math.floor(examined / 2)] ?? 0),
    p999_ms: round(times[Math.floor(examined * 0.999)] ?? 0),
    max_by_the_clock_ms: round(times.at(-1) ?? 0),
    crashes: counts.crash,
    accepted_invalid: counts.accepted_invalid,
    max_ms: round(slowest),
  }),
)
