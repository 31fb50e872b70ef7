/** `npm run fuzz -- --seconds 60`: all targets, a share of the time each; `--only NAME` for one, `--seed N` for the same inputs again. */
import { parseArgs } from 'node:util'
import { fuzz, replay, targets } from './run.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 0x1_0000_0000) },
  },
})
const names = values.only === undefined ? Object.keys(targets) : [values.only]
const seconds = Number(values.seconds) / names.length
const figures: Record<string, { inputs: number; faults: number }> = {}

for (const name of names) {
  const old = await replay(name)
  const { inputs, faults } = await fuzz(name, { seconds, seed: Number(values.seed) })
  for (const { input, fault } of [...old, ...faults]) console.error(`${name}: ${fault}\n  ${JSON.stringify(input)}`)
  figures[name] = { inputs, faults: old.length + faults.length }
}
console.log(JSON.stringify({ seed: Number(values.seed), seconds: Number(values.seconds), ...figures }))
if (Object.values(figures).some(({ faults }) => faults > 0)) process.exitCode = 1
