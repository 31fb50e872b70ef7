/** The face of the swarm to the rest of the program: `lookup` asks what is known, `learn` adds to it. */
import { createHmac } from 'node:crypto'
import { type CountReference, type DisclosureProfile, disclose } from './disclosure.ts'
import { createEvidenceIndex, SELF } from './evidence.ts'
import { decode, dotTable, encode, nearestCells, project, referenceTexts, similarity } from './fingerprint.ts'
import type { Identity } from './identity.ts'
import { createInterest } from './interest.ts'
import { type RoutingKey, routingKey } from './keyspace.ts'
import type { Network, NetworkHandlers, NetworkStatus, Verdict } from './network/network.ts'
import { mayReplace, type Outcome } from './outcome.ts'
import {
  encodePayload,
  expiresAt,
  openPacket,
  type Packet,
  PacketInvalidError,
  readKeptPacket,
  sealPacket,
} from './packet.ts'
import type { Space } from './space.ts'
import type { LedgerEntry, OutboxEntry, Store, StoredPacket } from './store/store.ts'
import { type Estimate, estimate, type Neighbour } from './synthesis/estimator.ts'

export interface Logger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

/** Why a packet that arrived was not kept. */
export type RejectReason =
  | PacketInvalidError['fault']
  | 'other_space'
  | 'wrong_key'
  | 'expired'
  | 'from_future'
  | 'known'
  | 'store_failed'

/** Told of what passes, for metrics. */
export interface RouterObserver {
  packetReceived(result: 'accepted' | RejectReason, bytes: number): void
  packetSent(recipients: number, bytes: number): void
  outcomeWithheld(): void
}

export interface RouterComponents {
  space: Space
  store: Store
  network: Network
  identity: Identity
  logger: Logger
  observer: RouterObserver
  clock?: () => number
  random?: () => number
}

export type NetworkMode = 'off' | 'receive' | 'share'

export interface RouterOptions {
  /** `receive` takes peers' packets and sends none; `off` touches no network at all. */
  mode: NetworkMode
  profile: DisclosureProfile
  /** Life of an outcome, hours. @default 168 */
  ttlHours?: number
  /** Nearest cells whose evidence is read. @default 8 */
  probes?: number
  /** Cells joined at most. @default 24 */
  maxInterest?: number
  /** Evidence kept in memory at most. @default 100000 */
  maxEvidence?: number
}

export interface Question {
  /** As the embedder of the router's space made it. */
  vector: Float32Array
  domain: string
  model: string
  /** What is expected of the answer before any outcome is seen, 0..1. @default 0.5 */
  prior?: number
}

export interface Insight extends Estimate {
  /** The question's fingerprint, 16 hex digits. */
  code: string
}

/** What was observed of an answer; the question is named by its code, since its vector is long gone. */
export type Report = Omit<Outcome, 'answer' | 'revision' | 'withdrawn' | 'time'> & { requestId: string }

export interface LedgerLine extends Omit<LedgerEntry, 'bytes'> {
  /** The signed payload, exactly as it left. */
  payload: string
  /** Length of the whole packet, payload and signature, as it left. */
  bytes: number
}

/** `outranked`: what a stronger observer said stands, or minds have changed 254 times already. */
export type Learned = 'recorded' | 'updated' | 'outranked'

export interface Router {
  /** Starts the network; a network that cannot start is logged, and everything local goes on without it. */
  start(): Promise<void>
  /** What is known about a question. Never waits for the network. */
  lookup(question: Question): Insight
  /** Remembers an outcome durably and, in share mode, prepares its packet. Rejects with a DatabaseError. */
  learn(report: Report): Promise<Learned>
  /** Takes back what was said of an answer: before departure silently, after it by a packet that says so. */
  withdraw(requestId: string): Promise<boolean>
  /** What has left, newest first. */
  ledger(page: { offset: number; limit: number }): Promise<LedgerLine[]>
  status(): NetworkStatus & { evidence: number; networkUp: boolean }
  stop(): Promise<void>
}

const OUTBOX_INTERVAL_MS = 5_000
const SWEEP_INTERVAL_MS = 10 * 60_000
/** A packet handed to nobody is offered again after this long. */
const RETRY_S = 30
const OUTBOX_BATCH = 50
const MAX_CLOCK_SKEW_S = 2 * 3600
const MAX_REVISION = 255
/** Cells backfilled once because a question touched them, though they are not joined. */
const MAX_VISITED = 1024
const VISIT_DEADLINE_MS = 15_000

export function createRouter(components: RouterComponents, options: RouterOptions): Router {
  const { space, store, network, identity, logger, observer } = components
  const { clock = Date.now, random = Math.random } = components
  const { mode, profile, ttlHours = 168, probes = 8, maxInterest = 24, maxEvidence = 100_000 } = options

  const now = () => Math.floor(clock() / 1000)
  const evidence = createEvidenceIndex(code => decode(space, code), maxEvidence)
  const interest = createInterest({ maxJoined: maxInterest })
  const visited = new Set<RoutingKey>()
  const answerSecret = identity.secret('answer')
  const count: CountReference = (code, digits) => referenceTexts(space, code, digits)
  const stopping = new AbortController()
  const timers = new Set<NodeJS.Timeout>()
  let networkUp = false
  /** One flush at a time, and one more when asked for meanwhile. */
  let flushing: Promise<void> | undefined
  let flushAgain = false
  /** Outcomes are revised one after another, or two thumbs at once would claim the same revision. */
  let lastWrite: Promise<unknown> = Promise.resolve()

  const answerOf = (requestId: string) =>
    createHmac('sha256', answerSecret).update(requestId).digest('hex').slice(0, 16)

  const keyOf = ({ code, domain }: Pick<Outcome, 'code' | 'domain'>) =>
    routingKey(space.id, domain, Number.parseInt(code.slice(0, 2), 16))

  const indexOwn = (outcome: Outcome) =>
    evidence.put({ ...outcome, author: SELF, expires: outcome.time + ttlHours * 3600 })

  const indexForeign = ({ author, packet }: StoredPacket) =>
    author !== identity.id && evidence.put({ ...packet, author, expires: expiresAt(packet) })

  function serially<T>(work: () => Promise<T>): Promise<T> {
    const result = lastWrite.then(work)
    lastWrite = result.catch(() => undefined)
    return result
  }

  // --- coming in

  const screen = (key: RoutingKey) => (packet: Packet) => {
    if (packet.space !== space.id) throw new ScreenedOut('other_space')
    if (keyOf(packet) !== key) throw new ScreenedOut('wrong_key')
    if (packet.time > now() + MAX_CLOCK_SKEW_S) throw new ScreenedOut('from_future')
    if (expiresAt(packet) <= now()) throw new ScreenedOut('expired')
  }

  async function receive(key: RoutingKey, bytes: Uint8Array): Promise<Verdict> {
    const verdict = (result: 'accepted' | RejectReason, answer: Verdict): Verdict => {
      observer.packetReceived(result, bytes.length)
      return answer
    }
    try {
      const stored: StoredPacket = { key, bytes, ...(await openPacket(bytes, screen(key))) }
      if (!(await store.putPacket(stored))) return verdict('known', 'ignore')
      indexForeign(stored)
      return verdict('accepted', 'accept')
    } catch (error) {
      if (error instanceof PacketInvalidError) return verdict(error.fault, 'reject')
      // An expired packet may come from an honest peer with a slower clock.
      if (error instanceof ScreenedOut) return verdict(error.reason, error.reason === 'expired' ? 'ignore' : 'reject')
      logger.warn({ err: error }, 'a packet could not be kept')
      return verdict('store_failed', 'ignore')
    }
  }

  const handlers: NetworkHandlers = {
    receive,
    async list(key, page) {
      if (mode !== 'share') return []
      try {
        return await store.packetBytes(key, now(), page)
      } catch (error) {
        logger.warn({ err: error }, 'packets could not be read for a peer')
        return []
      }
    },
  }

  // --- going out

  async function depart({ key, packet }: OutboxEntry): Promise<void> {
    const bytes = await sealPacket(packet, identity.privateKey)
    const stored: StoredPacket = { key, author: identity.id, packet, bytes }
    const leaves = await serially(async () => {
      // Minds may have changed since the outbox was read: what was withdrawn or replaced stays here.
      if ((await store.outcome(packet.answer))?.revision !== packet.revision) return false
      // The ledger comes first: nothing may leave that it does not show.
      await store.departed(stored, now())
      return true
    })
    if (!leaves) return
    const recipients = await network.publish(key, bytes, { signal: stopping.signal })
    await store.delivered(stored, recipients, now() + RETRY_S)
    observer.packetSent(recipients, bytes.length)
  }

  async function flushOutbox(): Promise<void> {
    do {
      flushAgain = false
      for (const entry of await store.due(now(), OUTBOX_BATCH)) {
        if (stopping.signal.aborted) return
        await depart(entry)
      }
    } while (flushAgain)
  }

  function flush(): void {
    if (!networkUp || mode !== 'share' || stopping.signal.aborted) return
    if (flushing) {
      flushAgain = true
      return
    }
    flushing = flushOutbox()
      .catch(error => {
        if (!stopping.signal.aborted) logger.warn({ err: error }, 'packets wait in the outbox')
      })
      .finally(() => {
        flushing = undefined
      })
  }

  function departureOf(outcome: Outcome): OutboxEntry | undefined {
    if (mode !== 'share') return undefined
    const disclosed = disclose(outcome, { space: space.id, referenceTexts: count, random }, profile, ttlHours, now())
    if (disclosed) return { key: keyOf(outcome), ...disclosed }
    observer.outcomeWithheld()
    return undefined
  }

  async function remember(outcome: Outcome, departure: OutboxEntry | undefined): Promise<void> {
    await store.putOutcome(outcome, outcome.time + ttlHours * 3600, departure)
    indexOwn(outcome)
    if (departure) flush()
  }

  // --- the face

  function watch(question: Question, cells: readonly number[]): void {
    if (!networkUp) return
    for (const [rank, cell] of cells.entries()) {
      const key = routingKey(space.id, question.domain, cell)
      const { join, leave, joined } = interest.touch(key, 1 / (rank + 1), now())
      if (leave) network.leave(leave)
      if (join) network.join(join)
      if (!joined) visit(key)
    }
  }

  function visit(key: RoutingKey): void {
    if (visited.has(key) || visited.size >= MAX_VISITED) return
    visited.add(key)
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(VISIT_DEADLINE_MS)])
    network.backfill(key, { signal }).catch(error => {
      visited.delete(key)
      logger.debug({ err: error }, 'a visited cell could not be backfilled')
    })
  }

  function* neighbours(vector: Float32Array, cells: readonly number[]): Generator<Neighbour> {
    const table = dotTable(space, vector)
    for (const cell of cells) {
      for (const entry of evidence.cell(cell)) yield { evidence: entry, similarity: similarity(table, entry.decoded) }
    }
  }

  function every(intervalMs: number, work: () => void): void {
    timers.add(setInterval(work, intervalMs).unref())
  }

  return {
    async start() {
      for (const outcome of await store.outcomes(now(), maxEvidence)) indexOwn(outcome)
      for (const stored of await store.packets(now(), maxEvidence)) indexForeign(stored)
      every(SWEEP_INTERVAL_MS, () => {
        evidence.sweep(now())
        visited.clear()
        store.sweep(now()).catch(error => logger.warn({ err: error }, 'expired entries could not be deleted'))
      })
      if (mode === 'off') return
      try {
        await network.start(handlers)
        networkUp = true
      } catch (error) {
        logger.warn({ err: error }, 'the network could not start; the proxy serves on without it')
        return
      }
      every(OUTBOX_INTERVAL_MS, flush)
      flush()
    },

    lookup(question) {
      const vector = project(space, question.vector)
      const cells = nearestCells(space, vector, probes)
      watch(question, cells)
      const { model, domain, prior = 0.5 } = question
      return {
        code: encode(space, vector),
        ...estimate(neighbours(vector, cells), { model, domain, prior, now: now() }, evidence),
      }
    },

    learn({ requestId, ...report }) {
      return serially(async () => {
        const answer = answerOf(requestId)
        const held = await store.outcome(answer)
        if (held && !held.withdrawn && !mayReplace(held.observer, report.observer)) return 'outranked'
        const revision = held ? held.revision + 1 : 0
        // The last revision is kept for a withdrawal.
        if (revision >= MAX_REVISION) return 'outranked'
        const outcome: Outcome = { ...report, answer, revision, withdrawn: false, time: now() }
        await remember(outcome, departureOf(outcome))
        return held ? 'updated' : 'recorded'
      })
    },

    withdraw(requestId) {
      return serially(async () => {
        const held = await store.outcome(answerOf(requestId))
        if (!held || held.withdrawn) return false
        const taken: Outcome = { ...held, revision: held.revision + 1, withdrawn: true, time: now() }
        await remember(taken, (await store.hasLeft(held.answer)) ? departureOf(taken) : undefined)
        return true
      })
    },

    async ledger(page) {
      const entries = await store.ledger(page)
      return entries.map(({ bytes, ...entry }) => ({
        ...entry,
        payload: encodePayload(readKeptPacket(bytes).packet),
        bytes: bytes.length,
      }))
    },

    status: () => ({ ...network.status(), evidence: evidence.size, networkUp }),

    async stop() {
      stopping.abort()
      for (const timer of timers) clearInterval(timer)
      await Promise.allSettled([flushing, lastWrite])
      networkUp = false
      await network[Symbol.asyncDispose]()
    },
  }
}

class ScreenedOut extends Error {
  readonly reason: Extract<RejectReason, 'other_space' | 'wrong_key' | 'from_future' | 'expired'>

  constructor(reason: ScreenedOut['reason']) {
    super(reason)
    this.reason = reason
  }
}
