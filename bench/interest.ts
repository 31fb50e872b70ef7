/**
 * What it costs a node to listen to so many kinds of question: 24 as with `QIS_INTEREST=matched`, 256 for each whole domain.
 * One node is measured, in a process of its own among four that listen to the same. `npm run bench:interest -- --json`
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { routingKey } from '../router/keyspace.ts'
import { createLibp2pNetwork } from '../router/network/libp2p.ts'
import type { Network } from '../router/network/network.ts'
import { readArguments } from './arguments.ts'

const OTHERS = 4
const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  keys: { type: 'string', default: '24,256,512', help: 'kinds of question listened to, by comma' },
  seconds: { type: 'string', default: '30', help: 'of each measurement' },
  bootstrap: {
    type: 'string',
    help: 'an address; given, this process is only a node that listens (as the bench starts four)',
  },
})
const seconds = Number(values.seconds)

if (values.bootstrap !== undefined) await beNode(Number(values.keys), [values.bootstrap])
else {
  const results = []
  for (const keys of values.keys.split(',').map(Number)) results.push(await measure(keys))
  if (!values.json) {
    for (const { keys, start, after, rssMb } of results) {
      process.stdout.write(
        `${keys} keys: ${start.cpuS.toFixed(1)} s of CPU in the first ${seconds} s, then ${after.toFixed(2)} % of a core, ${rssMb} MB\n`,
      )
    }
  }
  process.stdout.write(`${JSON.stringify({ others: OTHERS, seconds, results })}\n`)
}

interface Measured {
  keys: number
  /** CPU seconds in the first stretch, of joining, announcing, looking for others, and asking them for packets. */
  start: { cpuS: number }
  /** Per cent of a core in the stretch after it, in which a short one still announces. */
  after: number
  rssMb: number
}

async function measure(keys: number): Promise<Measured> {
  await using parts = new AsyncDisposableStack()
  const others: Network[] = []
  for (let count = 0; count < OTHERS; count++)
    others.push(await startNode(keys, others[0]?.status().addresses ?? [], parts))
  const child = fork(import.meta.filename, [
    '--keys',
    `${keys}`,
    '--seconds',
    `${seconds}`,
    '--bootstrap',
    others[0]?.status().addresses[0] ?? '',
  ])
  parts.defer(() => void child.kill())
  const [measured] = (await once(child, 'message')) as [Measured]
  return measured
}

async function startNode(keys: number, bootstrap: string[], parts: AsyncDisposableStack): Promise<Network> {
  const logger = { debug() {}, info() {}, warn() {} }
  const network = parts.use(
    createLibp2pNetwork({ privateKey: await generateKeyPair('Ed25519'), logger }, { bootstrap }),
  )
  await network.start({ receive: async () => 'accept', list: async () => [] })
  for (let key = 0; key < keys; key++) network.join(routingKey('0123abcd', `domain-${key >> 8}`, key & 255))
  return network
}

async function beNode(keys: number, bootstrap: string[]): Promise<void> {
  await using parts = new AsyncDisposableStack()
  const before = process.cpuUsage()
  await startNode(keys, bootstrap, parts)
  await sleep(seconds * 1000)
  const joined = process.cpuUsage(before)
  const between = process.cpuUsage()
  await sleep(seconds * 1000)
  const rested = process.cpuUsage(between)
  process.send?.({
    keys,
    start: { cpuS: (joined.user + joined.system) / 1e6 },
    after: (rested.user + rested.system) / 1e4 / seconds,
    rssMb: Math.round(process.memoryUsage().rss / 1e6),
  } satisfies Measured)
  process.disconnect()
}
