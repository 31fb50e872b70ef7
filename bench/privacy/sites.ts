/** Sites with few topics each: whose packet is one that bears no name, and are two about the same text? */
import { type Random, shuffle } from '../../embeddings/train/corpus.ts'
import { mean } from '../fingerprint/measures.ts'
import { hitChance } from './attacks.ts'

export interface Site {
  /** Topics, with how often each is asked about. */
  topics: readonly string[]
  weights: readonly number[]
}

export function createSites(topics: readonly string[], count: number, each: number, random: Random): Site[] {
  return Array.from({ length: count }, () => ({
    topics: shuffle([...topics], random).slice(0, each),
    weights: Array.from({ length: each }, () => -Math.log(1 - random())),
  }))
}

/** A code of one of the site's topics. */
export function ask<T>(site: Site, texts: ReadonlyMap<string, readonly T[]>, random: Random): T {
  let at = random() * site.weights.reduce((sum, weight) => sum + weight, 0)
  const topic = site.topics.find((_, index) => {
    at -= site.weights[index] as number
    return at < 0
  })
  const known = texts.get(topic ?? (site.topics[0] as string)) ?? []
  return known[Math.floor(random() * known.length)] as T
}

/** Digits after which a code is looked at anew. */
const DEPTHS = [2, 3, 4, 7, 10, 16]
/** How many packets' worth of belief a coarser digit gives a finer one (Dirichlet smoothing). */
const PRIOR = 4

/** Learns from packets whose author is known how much likelier a code is from one site than from any: naive Bayes. */
export class Attribution {
  readonly #sites: Map<string, number>[]
  readonly #totals: number[]
  readonly #all = new Map<string, number>()
  #total = 0

  constructor(sites: number) {
    this.#sites = Array.from({ length: sites }, () => new Map())
    this.#totals = new Array<number>(sites).fill(0)
  }

  learn(site: number, code: string): void {
    const own = this.#sites[site] as Map<string, number>
    for (const digits of depthsOf(code)) {
      const prefix = code.slice(0, digits)
      own.set(prefix, (own.get(prefix) ?? 0) + 1)
      this.#all.set(prefix, (this.#all.get(prefix) ?? 0) + 1)
    }
    this.#totals[site] = (this.#totals[site] as number) + 1
    this.#total++
  }

  /** The logarithm, for each site, of how much likelier the code is from it than from all. */
  scores(code: string): number[] {
    return this.#sites.map((own, site) => {
      let ratio = 1
      for (const digits of depthsOf(code)) {
        const prefix = code.slice(0, digits)
        const everywhere = (this.#all.get(prefix) ?? 0) / this.#total
        const here = everywhere === 0 ? 0 : (own.get(prefix) ?? 0) / everywhere
        ratio = (here + PRIOR * ratio) / ((this.#totals[site] as number) + PRIOR)
      }
      return Math.log(ratio)
    })
  }
}

const depthsOf = (code: string) => DEPTHS.filter(digits => digits <= code.length)

/** How often the right site is the first guess, from so many packets of it together. */
export function attribute(model: Attribution, streams: readonly (readonly string[])[], together: number): number {
  const hits = streams.flatMap((codes, site) => {
    const found: number[] = []
    for (let at = 0; at + together <= codes.length; at += together) {
      const each = codes.slice(at, at + together).map(code => model.scores(code))
      const sums = streams.map((_, index) => each.reduce((sum, scores) => sum + (scores[index] as number), 0))
      found.push(hitChance(sums, site, 1))
    }
    return found
  })
  return mean(hits)
}
