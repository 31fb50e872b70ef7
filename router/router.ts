/** The face of the swarm to the rest of the program: `lookup` asks what is known, `learn` adds to it. */
import { createHmac } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { createAttention, createWholeDomains } from './attention.ts'
import { createComparison } from './comparison.ts'
import { createDepartures } from './departures.ts'
import { type DisclosureProfile, type Interest, isShared, type SharedDomains } from './disclosure.ts'
import { createEvidenceIndex, SELF } from './evidence.ts'
import { decode, dotTable, encode, nearestCells, project, referenceTexts } from './fingerprint.ts'
import type { Identity } from './identity.ts'
import { createIntake } from './intake.ts'
import { createKeyCache } from './keyspace.ts'
import type { Network, NetworkHandlers, NetworkStatus } from './network/network.ts'
import { createOutbox } from './outbox.ts'
import { mayReplace, OBSERVER_WEIGHT, type Outcome } from './outcome.ts'
import { encodePayload, expiresAt, readKeptPacket } from './packet.ts'
import type { Space } from './space.ts'
import type { LedgerEntry, Store, StoredPacket } from './store/store.ts'
import { assess, type Estimate, estimate, MAX_NEIGHBOURS, MIN_SIMILARITY } from './synthesis/estimator.ts'
import { createMixing } from './synthesis/mixing.ts'
import type { Logger, RouterObserver } from './telemetry.ts'
import { createTurns } from './turns.ts'

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
  /** Others learn nothing of the rest. @default all */
  domains?: SharedDomains | undefined
  /** `domain` joins every cell of `domains.only`, which is then `general` unless given. @default the profile's */
  interest?: Interest | undefined
  /** Life of an outcome, hours. @default 168 */
  ttlHours?: number
  /** Nearest cells whose evidence is read. @default 11 */
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
  /** What the client does beside asking, as outcomes tell it. */
  strategy?: string | undefined
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

/**
 * `known`: just this was learnt before, and nothing changes; so a caller that does not know what became of an earlier
 * call may repeat it. `outranked`: what a stronger observer said stands, or minds have changed 254 times already.
 */
export type Learned = 'recorded' | 'updated' | 'known' | 'outranked'

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
  /** `space`: name and id of the one this node's fingerprints live in. */
  status(): NetworkStatus & { space: { name: string; id: string }; evidence: number; networkUp: boolean }
  stop(): Promise<void>
}

const OUTBOX_INTERVAL_MS = 5_000
const SWEEP_INTERVAL_MS = 10 * 60_000
const MAX_REVISION = 255
/** An insight for the same vector is good for about so long, while nothing new is known: time itself only wears it. */
const INSIGHT_LIFETIME_S = 60
const PRIOR = 0.5
const MIXING_STATE = 'mixing'
const SAVE_INTERVAL_MS = 60_000

export function createRouter(components: RouterComponents, options: RouterOptions): Router {
  const { space, store, network, identity, logger, observer } = components
  const { clock = Date.now, random = Math.random } = components
  const { mode, profile, interest = profile.interest ?? 'matched' } = options
  const { ttlHours = 168, probes = 11, maxInterest = 24, maxEvidence = 100_000 } = options

  const now = () => Math.floor(clock() / 1000)
  const { never, only = interest === 'domain' ? ['general'] : undefined } = options.domains ?? {}
  const domains: SharedDomains = { only, never }
  const comparison = createComparison(space, probes)
  const evidence = createEvidenceIndex(code => decode(space, code), maxEvidence, comparison)
  const mixing = createMixing()
  const keys = createKeyCache(space.id)
  const queries = createQueries(space, probes)
  const answerSecret = identity.secret('answer')
  const stopping = new AbortController()
  const timers = new Set<NodeJS.Timeout>()
  let networkUp = false
  /** An answer's outcome is revised by one after another, or two thumbs at once would claim the same revision. */
  const turns = createTurns()

  const attention =
    interest === 'domain'
      ? createWholeDomains({ network, keys }, { domains: (only ?? []).filter(domain => isShared(domain, domains)) })
      : createAttention({ network, logger, now, stopping: stopping.signal }, { maxJoined: maxInterest })
  const departures = createDepartures(
    {
      space: space.id,
      referenceTexts: (code, digits) => referenceTexts(space, code, digits),
      identity,
      store,
      observer,
      random,
      now,
    },
    { profile, domains, ttlHours },
  )
  const outbox = createOutbox(
    { store, network, identity, logger, observer, now, turns, departures, stopping: stopping.signal },
    { dailyCap: profile.dailyCap },
  )

  const answerOf = (requestId: string) =>
    createHmac('sha256', answerSecret).update(requestId).digest('hex').slice(0, 16)

  const indexOwn = (outcome: Outcome) =>
    evidence.put({ ...outcome, author: SELF, expires: outcome.time + ttlHours * 3600 })

  const indexForeign = ({ author, packet }: StoredPacket) => {
    if (author !== identity.id) evidence.put({ ...packet, author, expires: expiresAt(packet) })
  }

  const handlers: NetworkHandlers = {
    receive: createIntake({ store, logger, observer, now, keep: indexForeign }, space.id),
    list: async (key, page) => (mode === 'share' ? store.packetBytes(key, now(), page) : []),
  }

  async function remember(outcome: Outcome): Promise<void> {
    const departure = mode === 'share' ? await departures.of(outcome) : undefined
    await store.putOutcome(outcome, outcome.time + ttlHours * 3600, departure)
    indexOwn(outcome)
    if (departure && networkUp) outbox.flush()
  }

  /** Holds what would have been advised against what came of it, before that is known to the index. */
  function score({ code, model, domain, strategy, signal, observer: seenBy, intervention }: Outcome): void {
    if (intervention === 2) return
    const { table, cells } = comparison.of(code)
    const query = { model, domain, strategy, prior: PRIOR, now: now(), shares: mixing.shares(domain) }
    const neighbours = evidence.near(table, cells, MIN_SIMILARITY, MAX_NEIGHBOURS)
    const { estimate: advice, opinions } = assess(neighbours, query, evidence)
    if (advice.packets === 0) return
    const expected = { ...opinions, advised: advice.confidence }
    observer.benefitMeasured(mixing.score(domain, expected, signal, OBSERVER_WEIGHT[seenBy]))
  }

  const saveMixing = () =>
    store
      .putState(MIXING_STATE, mixing.save())
      .catch(error => logger.warn({ err: error }, 'what peers have earned could not be kept'))

  function every(intervalMs: number, work: () => void): void {
    timers.add(setInterval(work, intervalMs).unref())
  }

  return {
    async start() {
      await store.sweep(now())
      mixing.restore((await store.state(MIXING_STATE)) ?? '')
      for (const benefit of mixing.benefits()) observer.benefitMeasured(benefit)
      for (const outcome of await store.outcomes(now(), maxEvidence)) indexOwn(outcome)
      for await (const stored of store.packets(now(), maxEvidence)) {
        if (stored.author !== identity.id) indexForeign(stored)
        // Peers that ask are no longer handed what may not leave any more.
        else if (!departures.allow(stored.packet)) await store.dropPacket(stored)
      }
      every(SWEEP_INTERVAL_MS, () => {
        evidence.sweep(now())
        attention.forgetVisits()
        store.sweep(now()).catch(error => logger.warn({ err: error }, 'expired entries could not be deleted'))
      })
      if (mode === 'off') return
      every(SAVE_INTERVAL_MS, saveMixing)
      try {
        await network.start(handlers)
        networkUp = true
        attention.start()
      } catch (error) {
        logger.warn({ err: error }, 'the network could not start; the proxy serves on without it')
        return
      }
      if (mode !== 'share') return
      every(OUTBOX_INTERVAL_MS, outbox.flush)
      outbox.flush()
    },

    lookup(question) {
      const { vector, model, domain, strategy, prior = PRIOR } = question
      const { query, table } = queries.of(vector)
      if (networkUp && isShared(domain, domains)) attention.notice(query.cells.map(cell => keys.of(domain, cell)))
      const subject = `${model}/${domain}/${strategy}/${prior}/${evidence.version}/${Math.floor(now() / INSIGHT_LIFETIME_S)}`
      if (query.known?.subject === subject) return query.known.insight
      const neighbours = evidence.near(table(), query.cells, MIN_SIMILARITY, MAX_NEIGHBOURS)
      const insight: Insight = {
        code: query.code,
        ...estimate(
          neighbours,
          { model, domain, strategy, prior, now: now(), shares: mixing.shares(domain) },
          evidence,
        ),
      }
      query.known = { subject, insight }
      return insight
    },

    learn({ requestId, ...report }) {
      const answer = answerOf(requestId)
      return turns.take(answer, async () => {
        const held = await store.outcome(answer)
        if (held && !held.withdrawn && !mayReplace(held.observer, report.observer)) return 'outranked'
        if (held && says(held, report)) return 'known'
        const revision = held ? held.revision + 1 : 0
        // The last revision is kept for a withdrawal.
        if (revision >= MAX_REVISION) return 'outranked'
        const outcome: Outcome = { ...report, answer, revision, withdrawn: false, time: now() }
        // A second word on an answer tells nothing of what was advised before the first.
        if (!held) score(outcome)
        await remember(outcome)
        return held ? 'updated' : 'recorded'
      })
    },

    withdraw(requestId) {
      const answer = answerOf(requestId)
      return turns.take(answer, async () => {
        const held = await store.outcome(answer)
        if (!held || held.withdrawn) return false
        const taken: Outcome = { ...held, revision: held.revision + 1, withdrawn: true, time: now() }
        await remember(taken)
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

    status: () => ({
      ...network.status(),
      space: { name: space.name, id: space.id },
      evidence: evidence.size,
      networkUp,
    }),

    async stop() {
      stopping.abort()
      for (const timer of timers) clearInterval(timer)
      await Promise.all([outbox.settled(), turns.settled()])
      await saveMixing()
      networkUp = false
      await network[Symbol.asyncDispose]()
    },
  }
}

function says({ answer: _, revision: __, time: ___, withdrawn, ...held }: Outcome, report: Omit<Report, 'requestId'>) {
  return !withdrawn && isDeepStrictEqual(held, report)
}

/** Where a vector falls, and what the last look-up found. Its dot products are soon computed again, and not soon collected. */
interface PreparedQuery {
  cells: readonly number[]
  code: string
  known?: { subject: string; insight: Insight }
}

/** Prepares each vector once, for as long as somebody holds it: an embedder's cache gives the same one for equal texts. */
function createQueries(space: Space, probes: number) {
  const tableOf = (vector: Float32Array) => dotTable(space, project(space, vector))
  const prepared = new WeakMap<Float32Array, PreparedQuery>()
  return {
    /** With its dot products, made anew where they are wanted again. */
    of(vector: Float32Array): { query: PreparedQuery; table: () => Float32Array } {
      const known = prepared.get(vector)
      if (known) return { query: known, table: () => tableOf(vector) }
      const table = tableOf(vector)
      const query = { cells: nearestCells(space, table, probes), code: encode(space, table) }
      prepared.set(vector, query)
      return { query, table: () => table }
    },
  }
}
