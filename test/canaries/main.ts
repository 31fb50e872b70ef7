/** `npm run canaries -- --json`: ten thousand marked requests, and a search of everything for their marks. */
import { parseArgs } from 'node:util'
import { type ProfileName, profiles } from '../../router/disclosure.ts'
import { runCanaries } from './run.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    requests: { type: 'string', default: '10000' },
    'keep-corrections': { type: 'boolean', default: false },
    profile: { type: 'string', default: 'open' },
  },
})
const profile = Object.keys(profiles).find(name => name === values.profile) as ProfileName | undefined
if (profile === undefined) throw new Error(`--profile must be one of ${Object.keys(profiles).join(', ')}`)
const result = await runCanaries({
  requests: Number(values.requests),
  keepCorrections: values['keep-corrections'],
  profile,
  ...(!values.json && { log: line => console.log(line) }),
})
for (const { kind, place, encoding, around } of result.outside.slice(0, 50)) {
  console.error(`${kind} in ${place} (${encoding}): ${around}`)
}
const { outside, planted, packets } = result
console.log(JSON.stringify({ ...result, outside: outside.length }))
if (outside.length > 0 || planted.found < planted.of || packets === 0) process.exitCode = 1
