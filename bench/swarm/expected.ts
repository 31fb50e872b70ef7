/** What share of all packets a node with one kind of question is to receive, over all kinds, without a network. */
import { join } from 'node:path'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { createAttention } from '../../router/attention.ts'
import { PROBES } from '../../router/comparison.ts'
import { dotTable, encode, nearestCells, project } from '../../router/fingerprint.ts'
import { type RoutingKey, routingKey } from '../../router/keyspace.ts'
import { CELLS, loadSpace } from '../../router/space.ts'
import { mean } from './fit.ts'

const SPACE = join(import.meta.dirname, '../../embeddings/spaces/sense-1')
/** As the router's default. */
const MAX_JOINED = 24
const quiet = { debug() {}, info() {}, warn() {} }

/** Means over all topics, one for each of `steps`: of packets about all texts, those in cells that were joined. */
export async function expectedShares(topics: readonly string[][], steps: readonly number[]): Promise<number[]> {
  const space = await loadSpace(SPACE)
  await using embedder = createStaticEmbedder()
  const keys = Array.from({ length: CELLS }, (_, cell) => routingKey(space.id, 'general', cell))
  const keyOf = (cell: number) => keys[cell] as RoutingKey
  const seen = await Promise.all(
    topics.map(async texts =>
      (await embedder.embed(texts)).map(vector => {
        const table = dotTable(space, project(space, vector))
        return {
          probed: nearestCells(space, table, PROBES).map(keyOf),
          own: keyOf(Number.parseInt(encode(space, table).slice(0, 2), 16)),
        }
      }),
    ),
  )
  const all = seen.flat().map(({ own }) => own)

  const shareAfter = (questions: readonly { probed: RoutingKey[] }[]) => {
    const joined = new Set<RoutingKey>()
    const network = {
      join: (key: RoutingKey) => void joined.add(key),
      leave: (key: RoutingKey) => void joined.delete(key),
      backfill: async () => 0,
    }
    const stopping = AbortSignal.abort()
    const attention = createAttention({ network, logger: quiet, now: () => 0, stopping }, { maxJoined: MAX_JOINED })
    for (const { probed } of questions) attention.notice(probed)
    return all.filter(key => joined.has(key)).length / all.length
  }
  return steps.map(step => mean(seen.map(questions => shareAfter(questions.slice(0, step)))))
}
