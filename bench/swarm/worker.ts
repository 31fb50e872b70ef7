/** A process that holds a few nodes of the measured swarm and does what it is told over IPC. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { loadSpace } from '../../router/space.ts'
import type { Call, CommandName, Commands, Reply } from './commands.ts'
import { type SwarmNode, startNode } from './node.ts'

const SPACE = join(import.meta.dirname, '../../embeddings/spaces/sense-1')
const MB = 1 << 20

/** Given by whoever started this process; taken away by whichever of the two ends last. */
const folder = process.argv[2] ?? '.'
const parts = { embedder: createStaticEmbedder(), space: await loadSpace(SPACE), folder }
const nodes: SwarmNode[] = []

function nodeAt(index: number): SwarmNode {
  const node = nodes[index]
  if (!node) throw new RangeError(`there is no node ${index} here`)
  return node
}

const commands: { [Name in CommandName]: (input: Commands[Name]['in']) => Promise<Commands[Name]['out']> } = {
  async start({ bootstrap }) {
    const node = await startNode(parts, { name: `node-${nodes.length}`, bootstrap })
    nodes.push(node)
    return { id: node.id, address: node.address }
  },
  async ask({ node, texts }) {
    for (const text of texts) await nodeAt(node).ask(text)
    return undefined
  },
  learn: ({ node, text, signal }) => nodeAt(node).learn(text, signal),
  async announce({ node, key, deadlineMs }) {
    return { ms: await nodeAt(node).counters.announce(key, AbortSignal.timeout(deadlineMs)) }
  },
  lookup: ({ node, key, deadlineMs }) => nodeAt(node).counters.lookup(key, AbortSignal.timeout(deadlineMs)),
  async account({ node: index }) {
    const { counters, wire, network } = nodeAt(index)
    const { bytesIn, bytesOut } = wire
    const peers = network.status().peers.length
    const { rpcs, seeking } = counters
    return { rpcs, seeking, bytesIn, bytesOut, peers, records: await counters.records() }
  },
  async journal({ node: index }) {
    const { journal, wire } = nodeAt(index)
    return { ...journal, copies: [...wire.copies] }
  },
  async usage() {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    return { rssMb: rss / MB, heapMb: heapUsed / MB, cpuMs: (user + system) / 1000 }
  },
  async stop({ node }) {
    await nodeAt(node)[Symbol.asyncDispose]()
    return undefined
  },
}

async function obey({ id, name, input }: Call): Promise<void> {
  let reply: Reply
  try {
    reply = { id, output: await commands[name](input as never) }
  } catch (error) {
    reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  // whoever asked may be gone by now
  if (process.connected) process.send?.(reply, undefined, undefined, () => {})
}

process.on('message', (call: Call) => void obey(call))
// whoever measures is gone, or wants no more
process.once('disconnect', async () => {
  await Promise.allSettled(nodes.map(node => node[Symbol.asyncDispose]()))
  await rm(folder, { recursive: true, force: true })
  process.exit()
})
process.send?.({ id: 0, output: undefined } satisfies Reply)
