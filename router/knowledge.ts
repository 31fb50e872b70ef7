/** What this node knows, laid out for people: how well which model does where, and which kinds of question go best and worst. */
import { type Evidence, type EvidenceIndex, SELF } from './evidence.ts'
import type { Benefit, Mixing } from './synthesis/mixing.ts'
import { createTallies } from './tallies.ts'

/** A model in a domain. */
export interface KnownPlace {
  domain: string
  model: string
  /** Live outcomes of this site, and live packets of peers, of so many peers. */
  own: number
  packets: number
  peers: number
  /** Expected outcome of a question of which no more is known, 0..1. */
  expected: number
  /** Unix seconds of the most recent outcome; a peer's is of its hour. */
  latest: number
}

/** Questions of one domain whose fingerprints begin alike. */
export interface KnownKind {
  domain: string
  /** Two hex digits. */
  cell: string
  own: number
  packets: number
  /** Mean outcome whatever the model, shrunk towards that of all kinds, 0..1. */
  outcome: number
}

export interface Knowledge {
  /** Those with the most evidence. */
  places: KnownPlace[]
  /** Of how many there are, and of how many kinds with enough outcomes to be told. */
  total: { places: number; kinds: number }
  /** Best first, of those no worse than the mean; and worst first, of the others. */
  kinds: { best: KnownKind[]; worst: KnownKind[] }
  /** What listening to peers has brought, by domain. */
  benefits: Benefit[]
}

const MAX_PLACES = 400
const MAX_KINDS = 8
/** A kind with fewer outcomes is chance. */
const LEAST_OUTCOMES = 3
const SHRINK_COUNT = 4
/** So many outcomes of one peer count towards a kind. */
const PEER_COUNT = 20
/** All of the evidence is looked at; who reloads the page need not have it looked at again. */
const GOOD_FOR_S = 2

interface Counts {
  own: number
  packets: number
}

/** @param now Unix seconds */
export function createKnowledge(
  { evidence, mixing, now }: { evidence: EvidenceIndex; mixing: Pick<Mixing, 'shares' | 'benefits'>; now(): number },
  { maxPlaces = MAX_PLACES, maxKinds = MAX_KINDS } = {},
): () => Knowledge {
  let last: { at: number; knowledge: Knowledge } | undefined

  function expected(model: string, domain: string): number {
    const { local, robust, network } = mixing.shares(domain)
    const { rates } = evidence
    return (
      local * rates.of(model, domain, 'own') +
      robust * rates.of(model, domain, 'robust') +
      network * rates.of(model, domain, 'all')
    )
  }

  function read(): Knowledge {
    const places = new Map<string, Omit<KnownPlace, 'peers' | 'expected'> & { authors: Set<string> }>()
    const kinds = new Map<string, Counts & { domain: string; cell: number }>()
    const tallies = createTallies(author => (author === SELF ? Number.POSITIVE_INFINITY : PEER_COUNT))
    for (const entry of evidence.entries()) {
      if (entry.withdrawn || entry.expires <= now() || evidence.standing(entry.author) === 'distrusted') continue
      const { domain, model, cell, author, signal, observerWeight, time } = entry
      const place = entryOf(places, `${model}/${domain}`, () => {
        return { domain, model, own: 0, packets: 0, latest: 0, authors: new Set<string>() }
      })
      const kind = entryOf(kinds, `${domain}/${cell}`, () => ({ domain, cell, own: 0, packets: 0 }))
      for (const counts of [place, kind]) addTo(counts, entry)
      place.latest = Math.max(place.latest, time)
      if (author !== SELF) place.authors.add(author)
      for (const subject of ['', `${domain}/${cell}`]) tallies.count(subject, author, signal, observerWeight)
    }
    const { n, sum } = tallies.all('')
    const mean = clamp(sum / n)
    const ranked = [...kinds]
      .filter(([, { own, packets }]) => own + packets >= LEAST_OUTCOMES)
      .map(([subject, { cell, ...kind }]) => {
        const tally = tallies.all(subject)
        const outcome = clamp((tally.sum + SHRINK_COUNT * mean) / (tally.n + SHRINK_COUNT))
        return { ...kind, cell: cell.toString(16).padStart(2, '0'), outcome }
      })
      .sort((a, b) => b.outcome - a.outcome)
    const most = [...places.values()].sort((a, b) => b.own + b.packets - (a.own + a.packets)).slice(0, maxPlaces)
    return {
      places: most.map(({ authors, ...place }) => ({
        ...place,
        peers: authors.size,
        expected: expected(place.model, place.domain),
      })),
      total: { places: places.size, kinds: ranked.length },
      kinds: {
        best: ranked.filter(({ outcome }) => outcome >= mean).slice(0, maxKinds),
        worst: ranked
          .filter(({ outcome }) => outcome < mean)
          .slice(-maxKinds)
          .reverse(),
      },
      benefits: mixing.benefits(),
    }
  }

  return () => {
    const at = now()
    if (!last || at - last.at >= GOOD_FOR_S) last = { at, knowledge: read() }
    return last.knowledge
  }
}

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  const held = map.get(key)
  if (held !== undefined) return held
  const made = make()
  map.set(key, made)
  return made
}

function addTo(counts: Counts, { author }: Evidence): void {
  if (author === SELF) counts.own++
  else counts.packets++
}

/** Noise that was put on signals and taken off again may lead out of 0..1. */
function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}
