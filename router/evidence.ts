/** The in-memory index that advice reads: live outcomes of this site and of peers, by cell, with running averages. */
import { createCodeIndex, type Near, type Placed } from './code-index.ts'
import type { Comparison } from './comparison.ts'
import type { DecodedCode } from './fingerprint.ts'
import { modelFamily } from './model-variant.ts'
import { OBSERVER_WEIGHT, type Outcome } from './outcome.ts'
import { type Epsilon, noiseWeight, unbiased } from './randomised-response.ts'
import { createAgreement, type Measure, type Standing, type Trace } from './synthesis/agreement.ts'
import { type BaseRates, createBaseRates } from './synthesis/base-rates.ts'
import { createTallies, type Tally } from './tallies.ts'

/** Author of this site's own outcomes. */
export const SELF = ''

export interface Evidence extends Outcome, Placed {
  /** Peer id of the signer, or SELF. */
  author: string
  /** Unix seconds. */
  expires: number
  /** 0..255 */
  cell: number
  family: string
  /** What its code tells of its question, beside a full one, 0..1. */
  sharpness: number
  /** What its observer's word is worth, less what noise has taken from it. */
  observerWeight: number
  /** Whether its author has put noise on the signal, which is unbiased here and may lie outside 0..1. */
  noisy: boolean
  /** What it has told of its author so far; see agreement.ts. */
  traces: Record<Measure, Trace>
}

export interface EvidenceIndex {
  readonly size: number
  /** Another after each change. */
  readonly version: number
  /** Adds or replaces what `author` says of one answer; a revision already held or superseded changes nothing. */
  put(
    entry: Omit<Evidence, 'cell' | 'family' | 'sharpness' | 'place' | 'observerWeight' | 'noisy' | 'traces'> & {
      epsilon?: Epsilon
    },
  ): boolean
  /**
   * Evidence of these cells that is at least so similar to a query, whose table `dotTable` of fingerprint.ts made: this
   * site's own first, then that of peers who have proven themselves, then that of all others. Of each, those of the
   * `limit` most similar codes at most. What peers say who were found out is left out.
   */
  near(table: Float32Array, cells: readonly number[], minSimilarity: number, limit: number): Near<Evidence>[]
  /** What peers say, the last to arrive first; of one cell, 0..255, or of all. */
  foreign(page: { cell?: number | undefined; offset: number; limit: number }): { total: number; items: Evidence[] }
  /** Its entries by peer. */
  readonly authors: ReadonlyMap<string, ReadonlySet<Evidence>>
  /** All of it, this site's own first. */
  entries(): Iterable<Evidence>
  /** How far an author is to be believed. */
  standing(author: string): Standing
  /** What an unproven author's word is worth, 0..1. */
  credibility(author: string): number
  /** What a model's outcomes are on average, as far as this site alone or everyone can tell. */
  readonly rates: BaseRates
  /** Signals about a model, in one domain or in all, said by this site alone or by everyone, no peer too loudly. */
  tally(model: string, domain: string | undefined, ownOnly: boolean): Tally
  /** Drops what has expired. */
  sweep(now: number): void
  /** Drops all that a peer has said. */
  forget(author: string): void
}

/** So many outcomes of one peer count towards a model's base rate; its average counts however many it sends. */
const MAX_PEER_TALLY = 20
const MAX_SHARED = 10_000

/** Pairs of outcomes less alike than this tell nothing of either's author. */
const PAIR_SIMILARITY = 0.5
const PAIR_LIMIT = 64
/** Outcomes after which an author's average counts for more than everyone's. */
const AVERAGE_COUNT = 3

/**
 * @param maxEntries beyond this the oldest of peers' entries makes room, or the oldest of all when there is none
 * @param comparison how codes are compared with each other; without it no peer is ever proven or found out
 */
export function createEvidenceIndex(
  decode: (code: string) => DecodedCode,
  maxEntries: number,
  comparison?: Comparison,
): EvidenceIndex {
  /** Oldest arrival first; a replaced entry moves to the end. Apart, so that no flood of peers' drowns our own. */
  const own = new Map<string, Evidence>()
  const foreign = new Map<string, Evidence>()
  const authors = new Map<string, Set<Evidence>>()
  const holding = (author: string) => (author === SELF ? own : foreign)
  /** One more is there for a moment when the oldest has to make room. Apart, so that no flood of strangers' drowns the rest. */
  const codes = {
    self: createCodeIndex<Evidence>(maxEntries + 1),
    proven: createCodeIndex<Evidence>(maxEntries + 1),
    unproven: createCodeIndex<Evidence>(maxEntries + 1),
  }
  const tallies = createTallies(author => (author === SELF ? Number.POSITIVE_INFINITY : MAX_PEER_TALLY))
  const agreement = createAgreement()

  const shared = createSharing(MAX_SHARED)
  let version = 0

  const standingOf = (author: string): Standing => (author === SELF ? 'self' : agreement.standing(author))
  const indexOf = (author: string) => {
    const standing = standingOf(author)
    return standing === 'distrusted' ? undefined : codes[standing]
  }

  const count = (entry: Evidence, direction: 1 | -1) => {
    // What came of a refined prompt says nothing about what the model does by itself.
    if (entry.withdrawn || entry.intervention === 2) return
    const weight = direction * entry.observerWeight
    tallies.count(tallyKey(entry.model), entry.author, entry.signal, weight)
    tallies.count(tallyKey(entry.model, entry.domain), entry.author, entry.signal, weight)
  }
  const ascribe = (entry: Evidence) => {
    if (entry.author === SELF) return
    const said = authors.get(entry.author)
    if (said) said.add(entry)
    else authors.set(entry.author, new Set([entry]))
  }
  const remove = (id: string, entry: Evidence) => {
    version++
    holding(entry.author).delete(id)
    const said = authors.get(entry.author)
    if (said?.delete(entry) && said.size === 0) authors.delete(entry.author)
    indexOf(entry.author)?.remove(entry, entry.cell)
    count(entry, -1)
  }
  const rates = createBaseRates(tallies, { version: () => version, standing: standingOf, self: SELF })

  /** Does what changes an author's account, and moves what it said to where it then belongs. */
  const settle = (author: string, change: () => void) => {
    const before = indexOf(author)
    change()
    const after = indexOf(author)
    if (before === after) return
    version++
    for (const one of authors.get(author) ?? []) {
      before?.remove(one, one.cell)
      after?.add(one, decode(one.code))
    }
  }

  /** From what its own author says of the model on average: who always says the same agrees with nobody. */
  const deviation = ({ author, model, domain, signal }: Evidence) => {
    const { n, sum } = tallies.of(tallyKey(model, domain), author)
    return signal - (sum + AVERAGE_COUNT * rates.of(model, domain, 'robust')) / (n + AVERAGE_COUNT)
  }

  /** Holds what peers say against what this site saw of the like, and against what other peers say. */
  const compare = (entry: Evidence) => {
    if (!comparison || !tells(entry)) return
    const { table, cells } = comparison.of(entry.code)
    const isOwn = entry.author === SELF
    for (const index of isOwn ? [codes.proven, codes.unproven] : [codes.self, codes.proven, codes.unproven]) {
      for (const { item, similarity } of index.near(table, cells, PAIR_SIMILARITY, PAIR_LIMIT)) {
        if (item.model !== entry.model || item.author === entry.author || !tells(item)) continue
        const likeness = similarity * item.sharpness * entry.sharpness
        if (entry.author !== SELF) tell(entry, item, likeness)
        if (item.author !== SELF) tell(item, entry, likeness)
      }
    }
  }

  const tells = ({ withdrawn, intervention }: Evidence) => !withdrawn && intervention !== 2

  const tell = (said: Evidence, other: Evidence, likeness: number) => {
    const measure = other.author === SELF ? 'own' : 'crowd'
    const weight = said.observerWeight * other.observerWeight
    const [seen, its] = [deviation(other), deviation(said)]
    settle(said.author, () =>
      agreement.compare(said.author, measure, said.traces[measure], likeness, seen, its, weight),
    )
  }

  return {
    get size() {
      return own.size + foreign.size
    },
    get version() {
      return version
    },
    put({ epsilon, ...said }) {
      const id = `${said.author}/${said.answer}`
      const held = holding(said.author).get(id)
      if (held && held.revision >= said.revision) return false
      if (held) {
        remove(id, held)
        if (held.author !== SELF) {
          settle(held.author, () => {
            for (const measure of ['own', 'crowd'] as const)
              agreement.forget(held.author, measure, held.traces[measure])
          })
        }
      }
      // A withdrawal is kept, without weight, so that a late copy of what it takes back cannot return.
      const decoded = decode(said.code)
      const { author, code, domain, model, signal, intervention, withdrawn, time, expires, ...rest } = said
      const entry: Evidence = {
        // Each entry lies somewhere in the heap, and what a look-up reads of it lies together.
        withdrawn,
        intervention,
        time,
        expires,
        observerWeight: OBSERVER_WEIGHT[said.observer] * (epsilon === undefined ? 1 : noiseWeight(epsilon)),
        signal: epsilon === undefined ? signal : unbiased(signal, epsilon),
        author: shared(author),
        model: shared(model),
        domain: shared(domain),
        code,
        cell: decoded.cell,
        sharpness: comparison?.sharpness(decoded) ?? 1,
        family: shared(modelFamily(model)),
        place: 0,
        noisy: epsilon !== undefined,
        traces: { own: { lean: 0, told: 0 }, crowd: { lean: 0, told: 0 } },
        ...rest,
      }
      holding(entry.author).set(id, entry)
      ascribe(entry)
      version++
      indexOf(entry.author)?.add(entry, decoded)
      count(entry, 1)
      compare(entry)
      if (own.size + foreign.size > maxEntries) {
        const [oldest] = foreign.size > 0 ? foreign : own
        if (oldest) remove(...oldest)
      }
      return true
    },
    near(table, cells, minSimilarity, limit) {
      const found = codes.self.near(table, cells, minSimilarity, limit)
      for (const near of codes.proven.near(table, cells, minSimilarity, limit)) found.push(near)
      for (const near of codes.unproven.near(table, cells, minSimilarity, limit)) found.push(near)
      return found
    },
    foreign({ cell, offset, limit }) {
      const wanted = [...foreign.values()].filter(entry => cell === undefined || entry.cell === cell).reverse()
      return { total: wanted.length, items: wanted.slice(offset, offset + limit) }
    },
    authors,
    *entries() {
      yield* own.values()
      yield* foreign.values()
    },
    standing: standingOf,
    credibility: agreement.credibility,
    rates,
    tally(model, domain, ownOnly) {
      const subject = tallyKey(model, domain)
      return ownOnly ? tallies.of(subject, SELF) : tallies.all(subject)
    },
    sweep(now) {
      for (const held of [own, foreign]) {
        for (const [id, entry] of held) if (entry.expires <= now) remove(id, entry)
      }
    },
    forget(author) {
      for (const entry of [...(authors.get(author) ?? [])]) remove(`${author}/${entry.answer}`, entry)
    },
  }
}

/** Few different strings stand in very many packets: each is kept once. */
function createSharing(maxStrings: number): (text: string) => string {
  const known = new Map<string, string>()
  return text => {
    const held = known.get(text)
    if (held !== undefined) return held
    if (known.size >= maxStrings) known.clear()
    known.set(text, text)
    return text
  }
}

/** Neither models nor domains contain a slash. */
function tallyKey(model: string, domain = ''): string {
  return `${model}/${domain}`
}
