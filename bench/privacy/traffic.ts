/** A stream of packets: whose it is, what links two of them, and what joined cells tell of a site. */
import { type Random, shuffle } from '../../embeddings/train/corpus.ts'
import { type DisclosureProfile, type ProfileName, profiles } from '../../router/disclosure.ts'
import { nearestCells } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import { disclosedCode } from '../outcomes/prepare.ts'
import { linkPrecision } from './attacks.ts'
import { look } from './codes.ts'
import { drawByWeight, zipf } from './dictionary.ts'
import type { Door } from './door.ts'
import { measureInterest } from './interests.ts'
import { Attribution, ask, attribute, createSites, type Site } from './sites.ts'

const SITES = 50
const TOPICS_EACH = 5
/** Packets of each site that bear its name, from which an insider learns it, and such as bear none. */
const SIGNED = 300
const UNSIGNED = 40
const STREAM = 2_000
const QUESTIONS_A_WEEK = 200
const PROBES = 11

interface Asked {
  code: string
  cells: number[]
}

export interface Traffic {
  space: Space
  sites: readonly Site[]
  /** By topic, with no text in both. */
  known: ReadonlyMap<string, readonly Asked[]>
  asked: ReadonlyMap<string, readonly Asked[]>
}

export function createTraffic(space: Space, topics: ReadonlyMap<string, readonly string[]>, random: Random): Traffic {
  const known = new Map<string, Asked[]>()
  const asked = new Map<string, Asked[]>()
  for (const [topic, texts] of topics) {
    const all = shuffle([...texts], random).map(text => {
      const { code, table } = look(space, text)
      return { code, cells: nearestCells(space, table, PROBES) }
    })
    known.set(topic, all.slice(0, all.length >> 1))
    asked.set(topic, all.slice(all.length >> 1))
  }
  return { space, known, asked, sites: createSites([...topics.keys()], SITES, TOPICS_EACH, random) }
}

/** How often an unsigned packet, and ten of one site together, are traced to one of 50 sites. */
export function traceSites({ space, sites, known, asked }: Traffic, name: ProfileName, random: Random) {
  const model = new Attribution(sites.length)
  const codeOf = ({ code }: Asked) => disclosedCode(space, profiles[name], code)
  for (const [index, site] of sites.entries()) {
    for (let packet = 0; packet < SIGNED; packet++) {
      const code = codeOf(ask(site, known, random))
      if (code !== undefined) model.learn(index, code)
    }
  }
  const streams = sites.map(site =>
    Array.from({ length: UNSIGNED }, () => codeOf(ask(site, asked, random))).filter(code => code !== undefined),
  )
  return {
    traced_by_one_packet: attribute(model, streams, 1),
    traced_by_ten: attribute(model, streams, 10),
    chance: 1 / sites.length,
  }
}

/** Whether two packets of one site that look the same are about the same text, in a stream where texts come again. */
export function linkTexts({ space, asked }: Traffic, name: ProfileName, random: Random) {
  const texts = shuffle([...asked.values()].flat(), random).slice(0, STREAM)
  const codes = texts.map(({ code }) => disclosedCode(space, profiles[name], code))
  const weights = zipf(shuffle([...texts.keys()], random))
  const stream = drawByWeight(weights, STREAM, random).filter(text => codes[text] !== undefined)
  return {
    same_code_same_text: linkPrecision(
      stream.map(text => codes[text] ?? ''),
      stream,
    ),
    same_text_by_chance: linkPrecision(
      stream.map(() => ''),
      stream,
    ),
  }
}

/** Shares of repeated questions whose packets have the same `n`, and of changed minds that do. */
export async function linkAnswers(door: Door, code: string, count: number) {
  let asked = 0
  let revised = 0
  for (let question = 0; question < count; question++) {
    const tell = (requestId: string, revision: number) => door.tell({ requestId, code, signal: 1 - revision, revision })
    const first = await tell(`first-${question}`, 0)
    const again = await tell(`again-${question}`, 0)
    const changed = await tell(`first-${question}`, 1)
    if (first && first.answer === again?.answer) asked++
    if (first && first.answer === changed?.answer) revised++
  }
  return { asked_again_same_n: asked / count, revised_same_n: revised / count }
}

/** How many of a site's topics its joined cells tell; by chance as many as it has of all. */
export async function readInterests({ space, sites, known, asked }: Traffic, name: ProfileName, random: Random) {
  const { interest = 'matched' }: DisclosureProfile = profiles[name]
  const cellsOf = (texts: Traffic['known']) =>
    new Map([...texts].map(([topic, all]) => [topic, all.map(({ cells }) => cells)] as const))
  const texts = { known: cellsOf(known), asked: cellsOf(asked) }
  const measured = await measureInterest(space.id, interest, sites, texts, QUESTIONS_A_WEEK, random)
  return {
    topics_guessed: measured.found,
    topics_guessed_with_visits: measured.foundWithVisits,
    topics_guessed_by_chance: TOPICS_EACH / known.size,
    cells_joined: measured.cells,
    cells_visited: measured.visited,
  }
}
