/**
 * The swarm at sizes that no machine holds, by the same keyspace and interest code: `npm run simulate -- --nodes 100000`.
 * The same seed gives the same figures. What is simulated and what is assumed: docs/scaling.md.
 */
import { readArguments } from './arguments.ts'
import { simulatedTable } from './simulate/print.ts'
import { ASSUMED, runSimulation } from './simulate/run.ts'
import { rounded } from './swarm/fit.ts'

const values = readArguments(import.meta.filename, {
  nodes: { type: 'string', default: '100000', help: 'sizes of the swarm, by comma' },
  seed: { type: 'string', default: '1', help: 'the same gives the same figures' },
  lookups: { type: 'string', default: String(ASSUMED.lookups), help: 'look-ups that are simulated' },
  'prefix-bits': {
    type: 'string',
    default: '6',
    help: "bits at which a routing table stops to split: kad-dht's own 6, or another",
  },
  paths: { type: 'string', help: "disjoint paths of a look-up; the router's own unless given" },
  hostile: { type: 'string', default: '0', help: 'share of nodes that name only each other, and give nothing' },
  questions: {
    type: 'string',
    default: String(ASSUMED.questionsPerDay),
    help: 'median of the questions that a node is asked in a day',
  },
  feedback: { type: 'string', default: String(ASSUMED.feedbackShare), help: 'share of them that get feedback' },
  'round-trip-ms': {
    type: 'string',
    default: String(ASSUMED.roundTripMs),
    help: 'median of the time between two nodes and back, ms',
  },
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
})

const begun = performance.now()
const rows = []
for (const nodes of values.nodes.split(',').map(Number)) {
  rows.push(
    await runSimulation(nodes, {
      seed: Number(values.seed),
      lookups: Number(values.lookups),
      prefixBits: Number(values['prefix-bits']),
      hostileShare: Number(values.hostile),
      ...(values.paths !== undefined && { disjointPaths: Number(values.paths) }),
      questionsPerDay: Number(values.questions),
      feedbackShare: Number(values.feedback),
      roundTripMs: Number(values['round-trip-ms']),
    }),
  )
}
if (!values.json) console.log(simulatedTable(rows))
const seconds = rounded((performance.now() - begun) / 1000, 1)
const rssMb = rounded(process.resourceUsage().maxRSS / 1024)
console.log(JSON.stringify({ seed: Number(values.seed), seconds, max_rss_mb: rssMb, rows }))
