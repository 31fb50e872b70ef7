/** The in-memory index that advice reads: live outcomes of this site and of peers, by cell, with running averages. */
import { createCodeIndex, type Near, type Placed } from './code-index.ts'
import type { DecodedCode } from './fingerprint.ts'
import { modelFamily } from './model-variant.ts'
import { OBSERVER_WEIGHT, type Outcome } from './outcome.ts'
import { type Epsilon, noiseWeight, unbiased } from './randomised-response.ts'
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
  /** What its observer's word is worth, less what noise has taken from it. */
  observerWeight: number
}

export interface EvidenceIndex {
  readonly size: number
  /** Another after each change. */
  readonly version: number
  /** Adds or replaces what `author` says of one answer; a revision already held or superseded changes nothing. */
  put(entry: Omit<Evidence, 'cell' | 'family' | 'place' | 'observerWeight'> & { epsilon?: Epsilon }): boolean
  /**
   * Evidence of these cells, nearest first, that is at least so similar to a query, whose table `dotTable` of
   * fingerprint.ts made; of more than `limit` the most similar.
   */
  near(table: Float32Array, cells: readonly number[], minSimilarity: number, limit: number): Near<Evidence>[]
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

/** @param maxEntries beyond this the oldest of peers' entries makes room, or the oldest of all when there is none */
export function createEvidenceIndex(decode: (code: string) => DecodedCode, maxEntries: number): EvidenceIndex {
  /** Oldest arrival first; a replaced entry moves to the end. Apart, so that no flood of peers' drowns our own. */
  const own = new Map<string, Evidence>()
  const foreign = new Map<string, Evidence>()
  const holding = (author: string) => (author === SELF ? own : foreign)
  /** One more is there for a moment when the oldest has to make room. */
  const codes = createCodeIndex<Evidence>(maxEntries + 1)
  const tallies = createTallies(author => (author === SELF ? Number.POSITIVE_INFINITY : MAX_PEER_TALLY))

  const shared = createSharing(MAX_SHARED)
  let version = 0

  const count = (entry: Evidence, direction: 1 | -1) => {
    // What came of a refined prompt says nothing about what the model does by itself.
    if (entry.withdrawn || entry.intervention === 2) return
    const weight = direction * entry.observerWeight
    tallies.count(tallyKey(entry.model), entry.author, entry.signal, weight)
    tallies.count(tallyKey(entry.model, entry.domain), entry.author, entry.signal, weight)
  }
  const remove = (id: string, entry: Evidence) => {
    version++
    holding(entry.author).delete(id)
    codes.remove(entry, entry.cell)
    count(entry, -1)
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
      if (held) remove(id, held)
      // A withdrawal is kept, without weight, so that a late copy of what it takes back cannot return.
      const decoded = decode(said.code)
      const entry: Evidence = {
        ...said,
        author: shared(said.author),
        model: shared(said.model),
        domain: shared(said.domain),
        family: shared(modelFamily(said.model)),
        cell: decoded.cell,
        place: 0,
        signal: epsilon === undefined ? said.signal : unbiased(said.signal, epsilon),
        observerWeight: OBSERVER_WEIGHT[said.observer] * (epsilon === undefined ? 1 : noiseWeight(epsilon)),
      }
      holding(entry.author).set(id, entry)
      version++
      codes.add(entry, decoded)
      count(entry, 1)
      if (own.size + foreign.size > maxEntries) {
        const [oldest] = foreign.size > 0 ? foreign : own
        if (oldest) remove(...oldest)
      }
      return true
    },
    near: codes.near,
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
      for (const [id, entry] of foreign) if (entry.author === author) remove(id, entry)
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
