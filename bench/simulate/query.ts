/**
 * One DHT query as kad-dht 16 runs it, as a discrete-event simulation: the nearest peers of the asker's table are dealt out
 * to disjoint paths; each path asks whom it hears of that is nearer than whoever named it, several at a time, until its
 * own list of the k nearest answers can no longer be bettered. All paths share what was seen.
 */
import { DHT_QUERY } from '../../router/network/options.ts'
import { distance, type Random } from './ids.ts'
import type { Tables } from './tables.ts'

export interface QueryOptions {
  /** @default as the router's network */
  disjointPaths?: number
  /** Requests under way in one path. @default as the router's network */
  alpha?: number
  /** Peers that name only each other, and give nothing of what they hold. @default none */
  isHostile?: (peer: number) => boolean
  /** How long a request and its answer travel, ms. */
  roundTripMs: () => number
  /** What each request costs the asker's own machine, one after the other, ms. */
  serviceMs: number
}

export interface Answered {
  rpcs: number
  /** Peers in the longest chain in which one named the next. */
  hops: number
  ms: number
  /** Those that answered, nearest to the target first, at most k. */
  nearest: number[]
  /** Until somebody `holds` had answered, and how many requests had left by then; undefined when nobody did. */
  first: { ms: number; rpcs: number } | undefined
}

interface Request {
  peer: number
  distance: number
  depth: number
  path: Path
}

interface Path {
  queue: Request[]
  running: number
  /** Distances of the k nearest that answered, in rising order. */
  nearest: number[]
}

export function runQuery(
  { tables, random, holds }: { tables: Tables; random: Random; holds?: (peer: number) => boolean },
  asker: number,
  target: number,
  options: QueryOptions,
): Answered {
  const { disjointPaths, alpha, isHostile = () => false, roundTripMs, serviceMs } = { ...DHT_QUERY, ...options }
  const { ids, k } = tables
  const away = (peer: number) => distance(ids[peer] as number, target)
  const seen = new Set<number>()
  const answered: number[] = []
  const due = createHeap<Request>()
  const result: Answered = { rpcs: 0, hops: 0, ms: 0, nearest: [], first: undefined }
  let now = 0
  let busyUntil = 0

  const canAdd = (path: Path, at: number) => path.nearest.length < k || at < (path.nearest[k - 1] as number)

  function enqueue(path: Path, peer: number, depth: number): void {
    seen.add(peer)
    const request: Request = { peer, distance: away(peer), depth, path }
    const before = path.queue.findIndex(queued => queued.distance > request.distance)
    path.queue.splice(before < 0 ? path.queue.length : before, 0, request)
  }

  function send(path: Path): void {
    while (path.running < alpha) {
      const request = path.queue.shift()
      if (!request) return
      if (!canAdd(path, request.distance)) continue
      path.running++
      result.rpcs++
      result.hops = Math.max(result.hops, request.depth)
      busyUntil = Math.max(busyUntil, now) + serviceMs
      due.push(busyUntil + roundTripMs(), request)
    }
  }

  const starts = tables.closest(asker, target)
  for (let at = starts.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const moved = starts[at] as number
    starts[at] = starts[other] as number
    starts[other] = moved
  }
  const paths: Path[] = Array.from({ length: Math.min(disjointPaths, starts.length) }, () => ({
    queue: [],
    running: 0,
    nearest: [],
  }))
  starts.forEach((peer, at) => {
    enqueue(paths[at % paths.length] as Path, peer, 1)
  })
  for (const path of paths) send(path)

  for (let next = due.pop(); next; next = due.pop()) {
    now = next.at
    const { peer, path, depth, distance: own } = next.item
    path.running--
    const hides = isHostile(peer)
    if (!hides && holds?.(peer)) result.first ??= { ms: now, rpcs: result.rpcs }
    answered.push(peer)
    insert(path.nearest, own, k)
    for (const closer of tables.closest(peer, target)) {
      if (closer === asker || seen.has(closer) || (hides && !isHostile(closer))) continue
      const at = away(closer)
      if (at < own && canAdd(path, at)) enqueue(path, closer, depth + 1)
    }
    send(path)
  }
  result.ms = now
  result.nearest = answered.sort((a, b) => away(a) - away(b)).slice(0, k)
  return result
}

function insert(sorted: number[], value: number, most: number): void {
  let at = sorted.length
  while (at > 0 && (sorted[at - 1] as number) > value) at--
  sorted.splice(at, 0, value)
  if (sorted.length > most) sorted.pop()
}

/** A binary heap by time. */
export function createHeap<T>() {
  const entries: { at: number; item: T }[] = []
  const swap = (a: number, b: number) => {
    const entry = entries[a] as { at: number; item: T }
    entries[a] = entries[b] as { at: number; item: T }
    entries[b] = entry
  }
  const atOf = (index: number) => entries[index]?.at ?? Number.POSITIVE_INFINITY
  return {
    push(at: number, item: T): void {
      entries.push({ at, item })
      for (let i = entries.length - 1; i > 0 && atOf(i) < atOf((i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1)
    },
    pop(): { at: number; item: T } | undefined {
      const first = entries[0]
      const last = entries.pop()
      if (first === undefined || last === undefined || entries.length === 0) return first
      entries[0] = last
      for (let i = 0; ; ) {
        const smaller = atOf(2 * i + 1) <= atOf(2 * i + 2) ? 2 * i + 1 : 2 * i + 2
        if (atOf(smaller) >= atOf(i)) return first
        swap(i, smaller)
        i = smaller
      }
    },
  }
}
