/** What a site joins is public: how well its topics are told from that. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Random } from '../../embeddings/train/corpus.ts'
import { createAttention, createWholeDomains } from '../../router/attention.ts'
import type { Interest } from '../../router/disclosure.ts'
import { createKeyCache, type RoutingKey } from '../../router/keyspace.ts'
import { mean } from '../fingerprint/measures.ts'
import { hitChance } from './attacks.ts'
import { ask, type Site } from './sites.ts'

const CELLS = 256
const DOMAIN = 'general'
const WEEK_S = 7 * 24 * 3600

/** What peers see a site join, and what it visits once, of 256 cells, after so many questions in a week. */
export async function announced(
  spaceId: string,
  interest: Interest,
  questions: readonly (readonly number[])[],
): Promise<{ joined: boolean[]; visited: boolean[] }> {
  const keys = createKeyCache(spaceId)
  const cellOf = new Map(Array.from({ length: CELLS }, (_, cell) => [keys.of(DOMAIN, cell), cell]))
  const joined = new Array<boolean>(CELLS).fill(false)
  const visited = new Array<boolean>(CELLS).fill(false)
  const mark = (seen: boolean[], key: RoutingKey, value: boolean) => {
    const cell = cellOf.get(key)
    if (cell !== undefined) seen[cell] = value
  }
  let asked = 0
  const network = {
    join: (key: RoutingKey) => mark(joined, key, true),
    leave: (key: RoutingKey) => mark(joined, key, false),
    async backfill(key: RoutingKey) {
      mark(visited, key, true)
      return 1
    },
  }
  const components = {
    network,
    logger: { debug() {}, info() {}, warn() {} },
    now: () => (asked * WEEK_S) / questions.length,
    stopping: new AbortController().signal,
  }
  const attention =
    interest === 'matched'
      ? createAttention(components, { maxJoined: 24 })
      : createWholeDomains({ network, keys }, { domains: [DOMAIN] })
  attention.start()
  for (const cells of questions) {
    attention.notice(cells.map(cell => keys.of(DOMAIN, cell)))
    asked++
    // Visits are made in turn.
    await nextTurn()
  }
  return { joined, visited }
}

/** How much of a topic's questions touches each cell, by the weights with which interest is counted. */
export function footprint(questions: readonly (readonly number[])[]): number[] {
  const mass = new Array<number>(CELLS).fill(0)
  for (const cells of questions) {
    cells.forEach((cell, rank) => {
      mass[cell] = (mass[cell] as number) + 1 / (rank + 1)
    })
  }
  const total = mass.reduce((sum, one) => sum + one, 0)
  return mass.map(one => one / total)
}

/** Share of a site's topics among as many guesses; as many are wrong as are missed, so it is precision and recall. */
export function guessTopics(
  joined: readonly boolean[],
  footprints: ReadonlyMap<string, readonly number[]>,
  topics: readonly string[],
): number {
  const names = [...footprints.keys()]
  const scores = names.map(name =>
    (footprints.get(name) ?? []).reduce((sum, mass, cell) => (joined[cell] ? sum + mass : sum), 0),
  )
  // What is left of many roundings would else tell topics apart that look the same.
  const rounded = scores.map(score => Math.round(score * 1e9))
  return mean(topics.map(topic => hitChance(rounded, names.indexOf(topic), topics.length)))
}

export async function measureInterest(
  spaceId: string,
  interest: Interest,
  sites: readonly Site[],
  { asked, known }: Record<'asked' | 'known', ReadonlyMap<string, readonly (readonly number[])[]>>,
  questions: number,
  random: Random,
): Promise<{ found: number; foundWithVisits: number; cells: number; visited: number }> {
  const footprints = new Map([...known].map(([topic, all]) => [topic, footprint(all)]))
  const results = await Array.fromAsync(sites, async site => {
    const stream = Array.from({ length: questions }, () => ask(site, asked, random))
    const { joined, visited } = await announced(spaceId, interest, stream)
    const count = (seen: readonly boolean[]) => seen.filter(Boolean).length
    return {
      found: guessTopics(joined, footprints, site.topics),
      foundWithVisits: guessTopics(
        joined.map((is, cell) => is || (visited[cell] ?? false)),
        footprints,
        site.topics,
      ),
      cells: count(joined),
      visited: count(visited),
    }
  })
  return {
    found: mean(results.map(({ found }) => found)),
    foundWithVisits: mean(results.map(({ foundWithVisits }) => foundWithVisits)),
    cells: mean(results.map(({ cells }) => cells)),
    visited: mean(results.map(({ visited }) => visited)),
  }
}
