/** The face of the swarm to the rest of the program: `lookup` asks what is known, `learn` adds to it. */
import { createHmac } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { createAttention, createWholeDomains } from './attention.ts'
import type { Near } from './code-index.ts'
import { createComparison, PROBES } from './comparison.ts'
import { createDepartures } from './departures.ts'
import { type DisclosureProfile, type Interest, isShared, type SharedDomains, toldDomain } from './disclosure.ts'
import { createEvidenceIndex, type Evidence, type EvidenceIndex, SELF } from './evidence.ts'
import { decode, referenceTexts, similarity } from './fingerprint.ts'
import type { Identity } from './identity.ts'
import { inSlices } from './in-slices.ts'
import { createIntake } from './intake.ts'
import { createKeptCalibration } from './kept-calibration.ts'
import { createKeptMixing } from './kept-mixing.ts'
import { createKeyCache } from './keyspace.ts'
import { createKnowledge, type Knowledge } from './knowledge.ts'
import type { Declared } from './labels.ts'
import { type LedgerLine, type LedgerVerdict, ledgerLine, verifyLedger } from './ledger.ts'
import { createLink, type LinkStatus } from './link.ts'
import type { Network, NetworkHandlers, NetworkStatus } from './network/network.ts'
import { createOutbox } from './outbox.ts'
import { mayReplace, type Outcome, says } from './outcome.ts'
import { expiresAt } from './packet.ts'
import { createPeers, type Peers } from './peers.ts'
import { createQueries } from './queries.ts'
import type { Space } from './space.ts'
import type { Store, StoredPacket } from './store/store.ts'
import { supposedOutcome } from './supposed.ts'
import type { Calibration } from './synthesis/calibration.ts'
import { type Estimate, estimate, MAX_NEIGHBOURS, MIN_SIMILARITY } from './synthesis/estimator.ts'
import { seedEstimate } from './synthesis/seed.ts'
import type { Logger, RouterObserver } from './telemetry.ts'
import { createTurns } from './turns.ts'

export interface RouterComponents {
  space: Space
  store: Store
  network: Network
  identity: Identity
  logger: Logger
  observer: RouterObserver
  /** Whether what this peer signs counts here; everybody's unless given. */
  admits?: (author: string) => boolean
  clock?: () => number
  random?: () => number
}

export type NetworkMode = 'off' | 'receive' | 'share'
export type Estimator = 'ours' | 'seed'

export interface RouterOptions {
  /** `receive` takes peers' packets and sends none; `off` touches no network at all. */
  mode: NetworkMode
  profile: DisclosureProfile
  /** Others learn nothing of the rest. @default all */
  domains?: SharedDomains | undefined
  /** Labels that may be told where the profile asks, beside those that are shipped. @default none */
  declared?: Declared | undefined
  /** `domain` joins every cell of `domains.only`, which is then `general` unless given. @default the profile's */
  interest?: Interest | undefined
  /** How outcomes are weighed; `seed` by the published pattern's own rule, for comparison. @default 'ours' */
  estimator?: Estimator
  /** Life of an outcome, hours. @default 168 */
  ttlHours?: number
  /** Nearest cells whose evidence is read. @default PROBES */
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
  /** False when it is only asked about, so that the network is not asked for such questions. @default true */
  asked?: boolean
  /** What the client does beside asking, as outcomes tell it. */
  strategy?: string | undefined
}

/** What lies around a question. */
export interface Surroundings {
  /** The question's fingerprint, 16 hex digits. */
  code: string
  /** Those that were looked into, nearest first. */
  cells: readonly number[]
  /** Live outcomes of any model, own and peers', at most a few dozen: the most similar. */
  neighbours: Near<Evidence>[]
  /** How far an author of them is to be believed. */
  standing: EvidenceIndex['standing']
}

export interface Insight extends Estimate {
  /** What the evidence alone lets expect; `confidence` is that, corrected by what this site has seen of the model. */
  posterior: number
  /** The question's fingerprint, 16 hex digits. */
  code: string
}

/** What was observed of an answer; the question is named by its code, since its vector is long gone. */
export type Report = Omit<Outcome, 'answer' | 'revision' | 'withdrawn' | 'time'> & {
  requestId: string
  /** The posterior when it was asked; undefined when nothing was known. */
  expected?: number | undefined
}

/**
 * `known`: just this was learnt before, and nothing changes; so a caller that does not know what became of an earlier
 * call may repeat it. `outranked`: what a stronger observer said stands, or minds have changed 254 times already.
 */
export type Learned = 'recorded' | 'updated' | 'known' | 'outranked'

export interface Router {
  /** Starts the network, when peers' packets are read, for which it waits a little; one that cannot start is tried again. */
  start(): Promise<void>
  /** What is known about a question. Never waits for the network. */
  lookup(question: Question): Insight
  /** What `lookup` would say if this site had just seen such outcomes, 0..1 each, of the very same question. */
  suppose(question: Question, signals: readonly number[]): Insight
  /** The outcomes themselves, for what else can be learnt of them. Never waits for the network. */
  around(vector: Float32Array): Surroundings
  /** Remembers an outcome durably and, in share mode, prepares its packet. Rejects with a DatabaseError. */
  learn(report: Report): Promise<Learned>
  /** Takes back what was said of an answer: before departure silently, after it by a packet that says so. */
  withdraw(requestId: string): Promise<boolean>
  /** Drops what was learnt from peers that are not admitted any more. */
  forgetStrangers(): Promise<void>
  /** What is to be expected of an answer now that the model's own confidence is known, 0..1. */
  calibrated(model: string, posterior: number, own?: number): number
  /** What was told and what came of it. */
  reliability: Calibration['reliability']
  /** What is known of models, domains and kinds of question; all of it, so not for every request. */
  knowledge(): Promise<Knowledge>
  /** What has left, newest first. */
  ledger(page: { offset: number; limit: number }): Promise<LedgerLine[]>
  /** Recomputes the chain of the ledger. */
  verifyLedger(): Promise<LedgerVerdict>
  /** Those it is connected to, and those whose packets it holds. */
  peers: Peers['list']
  /** What they have said and still counts. */
  packets: Peers['packets']
  /** `space`: name and id of the one this node's fingerprints live in. */
  status(): Omit<NetworkStatus, 'connected'> &
    LinkStatus & {
      space: { name: string; id: string }
      evidence: number
    }
  stop(): Promise<void>
}

const OUTBOX_INTERVAL_MS = 5_000
const SWEEP_INTERVAL_MS = 10 * 60_000
const SAVE_INTERVAL_MS = 5_000
/** So long the start waits for the store to be read. */
const RESTORE_WAIT_MS = 2_000
const MAX_REVISION = 255
/** An insight for the same vector is good for about so long, while nothing new is known: time itself only wears it. */
const INSIGHT_LIFETIME_S = 60
const PRIOR = 0.5

export function createRouter(components: RouterComponents, options: RouterOptions): Router {
  const { space, store, network, identity, logger, observer } = components
  const { clock = Date.now, random = Math.random } = components
  const admits = (author: string) => author === identity.id || (components.admits?.(author) ?? true)
  const { mode, profile, interest = profile.interest ?? 'matched' } = options
  const { estimator = 'ours', ttlHours = 168, probes = PROBES, maxInterest = 24, maxEvidence = 100_000 } = options

  const now = () => Math.floor(clock() / 1000)
  const { never, only = interest === 'domain' ? ['general'] : undefined } = options.domains ?? {}
  const domains: SharedDomains = { only, never }
  const disclosure = { profile, domains, declared: options.declared }
  const comparison = createComparison(space, probes)
  const evidence = createEvidenceIndex(code => decode(space, code), maxEvidence, comparison)
  const mixing = createKeptMixing({ store, evidence, comparison, logger, observer, now })
  const keys = createKeyCache(space.id)
  const queries = createQueries(space, probes)
  const calibration = createKeptCalibration({ store, logger })
  const answerSecret = identity.secret('answer')
  const stopping = new AbortController()
  let starting: Promise<void> | undefined
  const timers = new Set<NodeJS.Timeout>()
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
    { ...disclosure, ttlHours },
  )
  const link = createLink({ network, logger, now, random, stopping: stopping.signal })
  const outbox = createOutbox(
    { store, network, identity, logger, observer, now, turns, departures, link, stopping: stopping.signal },
    { dailyCap: profile.dailyCap },
  )

  const answerOf = (requestId: string) =>
    createHmac('sha256', answerSecret).update(requestId).digest('hex').slice(0, 16)

  const indexOwn = (outcome: Outcome) =>
    evidence.put({ ...outcome, author: SELF, expires: outcome.time + ttlHours * 3600 })

  const indexForeign = ({ author, packet }: StoredPacket) => {
    if (author !== identity.id) evidence.put({ ...packet, author, expires: expiresAt(packet) })
  }

  const peers = createPeers({ network, evidence })

  const handlers: NetworkHandlers = {
    receive: createIntake({ store, logger, observer, now, admits, keep: indexForeign, handed: peers.handed }, space.id),
    list: async (key, page) => (mode === 'share' ? store.packetBytes(key, now(), page) : []),
  }

  async function remember(outcome: Outcome, requestId: string): Promise<void> {
    const departure = mode === 'share' ? await departures.of(outcome, requestId) : undefined
    await store.putOutcome(outcome, outcome.time + ttlHours * 3600, departure)
    indexOwn(outcome)
    if (departure) outbox.flush()
  }

  async function restore(stored: StoredPacket): Promise<void> {
    if (stored.author !== identity.id) indexForeign(stored)
    // Peers that ask are no longer handed what may not leave any more.
    else if (!departures.allow(stored.packet)) await store.dropPacket(stored)
  }

  async function connect(): Promise<void> {
    if (mode === 'off' || stopping.signal.aborted) return
    attention.start()
    if (mode === 'share') every(OUTBOX_INTERVAL_MS, outbox.flush)
    await link.start(handlers, mode === 'share' ? outbox.flush : () => {})
  }

  async function forgetStrangers(): Promise<void> {
    const forgotten = await store.forgetAuthors(admits)
    for (const author of forgotten) evidence.forget(author)
  }

  /** The rule that is compared with reads one cell, however unlike; ours what is alike in several. */
  const gather = (table: Float32Array, cells: readonly number[]) =>
    estimator === 'seed'
      ? evidence.near(table, cells.slice(0, 1), Number.NEGATIVE_INFINITY, maxEvidence)
      : evidence.near(table, cells, MIN_SIMILARITY, MAX_NEIGHBOURS)

  function weigh(near: readonly Near<Evidence>[], code: string, question: Question): Insight {
    const { model, domain, strategy, prior } = question
    const query = { model, domain, strategy, prior: prior ?? PRIOR, now: now(), shares: mixing.shares(domain) }
    const estimated = estimator === 'seed' ? seedEstimate(near, { ...query, code }) : estimate(near, query, evidence)
    const { confidence: posterior } = estimated
    const confidence = estimator === 'seed' ? posterior : calibration.apply(model, posterior, prior)
    return { ...estimated, code, posterior, confidence }
  }

  function every(intervalMs: number, work: () => void): void {
    timers.add(setInterval(work, intervalMs).unref())
  }

  return {
    async start() {
      await store.sweep(now())
      await forgetStrangers()
      await mixing.restore()
      for (const outcome of await store.outcomes(now(), maxEvidence)) indexOwn(outcome)
      await calibration.restore()
      const restored = inSlices(store.packets(now(), maxEvidence), restore, { stopping: stopping.signal })
      every(SAVE_INTERVAL_MS, calibration.save)
      every(SAVE_INTERVAL_MS, mixing.save)
      every(SWEEP_INTERVAL_MS, () => {
        evidence.sweep(now())
        attention.forgetVisits()
        store.sweep(now()).catch(error => logger.warn({ err: error }, 'expired entries could not be deleted'))
      })
      const connected = restored.then(connect)
      starting = connected.catch(error => {
        if (!stopping.signal.aborted) logger.warn({ err: error }, 'what peers have said cannot be read')
      })
      // Questions are answered before a large store has been read.
      const late = await Promise.race([restored, wait(RESTORE_WAIT_MS, true, { ref: false })])
      if (!late) await connected
    },

    lookup(question) {
      const { vector, model, domain, strategy, prior = PRIOR, asked = true } = question
      const { query, table } = queries.of(vector)
      const told = mode !== 'off' && asked && toldDomain(domain, disclosure)
      if (told) attention.notice(query.cells.map(cell => keys.of(told, cell)))
      const subject = `${model}/${domain}/${strategy}/${prior}/${evidence.version}/${calibration.version}/${Math.floor(now() / INSIGHT_LIFETIME_S)}`
      if (query.known?.subject === subject) return query.known.insight
      const insight = weigh(gather(table(), query.cells), query.code, question)
      query.known = { subject, insight }
      return insight
    },

    suppose(question, signals) {
      const { vector, model, domain } = question
      const { query, table } = queries.of(vector)
      const dots = table()
      // Even an outcome of the very same question is only known by its code.
      const decoded = decode(space, query.code)
      const likeness = similarity(dots, decoded)
      const supposed = signals.map(signal => ({
        item: supposedOutcome({ code: query.code, model, domain, signal, time: now() }, decoded),
        similarity: likeness,
      }))
      return weigh([...supposed, ...gather(dots, query.cells)], query.code, question)
    },

    around(vector) {
      const { query, table } = queries.of(vector)
      return {
        code: query.code,
        cells: query.cells,
        neighbours: evidence.near(table(), query.cells, MIN_SIMILARITY, MAX_NEIGHBOURS),
        standing: evidence.standing,
      }
    },

    learn({ requestId, expected, ...report }) {
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
        if (!held) mixing.score(outcome)
        await remember(outcome, requestId)
        calibration.learn(outcome, expected, held)
        return held ? 'updated' : 'recorded'
      })
    },

    withdraw(requestId) {
      const answer = answerOf(requestId)
      return turns.take(answer, async () => {
        const held = await store.outcome(answer)
        if (!held || held.withdrawn) return false
        const taken: Outcome = { ...held, revision: held.revision + 1, withdrawn: true, time: now() }
        await remember(taken, requestId)
        return true
      })
    },

    forgetStrangers,
    calibrated: calibration.apply,
    reliability: calibration.reliability,
    knowledge: createKnowledge({ evidence, mixing, now }),

    async ledger(page) {
      return (await store.ledger(page)).map(ledgerLine)
    },

    async verifyLedger() {
      for (;;) {
        const chain = await store.ledgerChain()
        const verdict = await verifyLedger(store.wholeLedger(), chain)
        // Entries that were let go meanwhile are not missing.
        if (verdict.ok || (await store.ledgerChain()).anchor.seq === chain.anchor.seq) return verdict
        stopping.signal.throwIfAborted()
      }
    },

    peers: peers.list,
    packets: peers.packets,

    status() {
      const { connected: _, ...status } = network.status()
      return { ...status, space: { name: space.name, id: space.id }, evidence: evidence.size, ...link.status() }
    },

    async stop() {
      stopping.abort()
      await starting
      for (const timer of timers) clearInterval(timer)
      await Promise.all([outbox.settled(), turns.settled()])
      await Promise.all([mixing.save(), calibration.save()])
      await network[Symbol.asyncDispose]()
    },
  }
}
