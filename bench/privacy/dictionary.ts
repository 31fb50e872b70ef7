/** Dictionary attacks: an insider has a packet, the codebook, and a list of texts one of which was the question. */
import type { Random } from '../../embeddings/train/corpus.ts'
import { type ProfileName, profiles } from '../../router/disclosure.ts'
import { decode, similarity } from '../../router/fingerprint.ts'
import type { Packet } from '../../router/packet.ts'
import type { Space } from '../../router/space.ts'
import { mean } from '../fingerprint/measures.ts'
import { disclosedCode } from '../outcomes/prepare.ts'
import { classesOf, hitChance, truthAuc } from './attacks.ts'
import type { Door } from './door.ts'

export interface Entry {
  text: string
  tag: string
  code: string
  table: Float32Array
}

export interface DictionaryFigures {
  /** Share of the questions of which anything leaves. */
  left: number
  /** Digits of the code in a packet, on average. */
  digits: number
  /** How often the true text is the attacker's first guess, and among his first ten. */
  top1: number
  top10: number
  /** The same when some texts are asked far more often than others (Zipf), and the attacker knows how often. */
  top1_popular: number
  /** The same by knowing that alone, without a packet. */
  top1_popularity_alone: number
  /** The same as `top1`, when packets carry a domain tag, and the attacker knows each text's. */
  top1_tagged: number
  /** Of telling the true text from others that share the prefix that the profile promises to hide it in; for `open`, standard's. */
  within_cell_auc: number | null
  /** The same among all texts of the cell, whose first two digits they share. */
  auc_in_whole_cell: number
  /** As `within_cell_auc`, by an attacker who can have the same model answer every text, with the very same confidence. */
  auc_knowing_confidence: number | null
}

export const DEPTHS = [2, 3, 4, 7, 10, 16] as const

/** Codes cut to so many digits whatever k says: what each further digit would cost. */
export function attackDepths(entries: readonly Entry[]): { digits: number; top1: number; top10: number }[] {
  return DEPTHS.map(digits => {
    const sizes = [...classesOf(entries.map(({ code }) => code.slice(0, digits))).values()].map(({ length }) => length)
    const rate = (n: number) => sizes.reduce((sum, size) => sum + Math.min(n, size), 0) / entries.length
    return { digits, top1: rate(1), top10: rate(10) }
  })
}

export interface Attacked {
  space: Space
  entries: readonly Entry[]
  /** How often each text is asked, beside the others. */
  popularity: readonly number[]
  /** Confidence of the model in its answer to each text. */
  confidence: readonly number[]
}

/** @param targets which texts are asked, by index, each as often as any */
export async function attackDictionary(
  { space, entries, popularity, confidence }: Attacked,
  door: Door,
  name: ProfileName,
  targets: readonly number[],
  popularTargets: readonly number[],
): Promise<DictionaryFigures> {
  // He knows the rule as well: a text that would have been told by more digits, or fewer, is not the one.
  const told = entries.map(({ code }) => disclosedCode(space, profiles[name], code) ?? '')
  const suspects = classesOf(told)
  const cells = classesOf(entries.map(({ code }) => code.slice(0, 2)))
  const hidden = entries.map(({ code }) => promised(space, name, code))
  const hits = { one: [] as number[], ten: [] as number[], tagged: [] as number[], popular: [] as number[] }
  const aucs = { within: [] as number[], cell: [] as number[], knowing: [] as number[] }
  const digits: number[] = []

  const tell = (target: number, request: string): Promise<Packet | undefined> => {
    const { code } = entries[target] as Entry
    return door.tell({ requestId: `${request}-${target}`, code, signal: 1, confidence: confidence[target] as number })
  }
  for (const [asked, target] of targets.entries()) {
    const packet = await tell(target, `uniform-${asked}`)
    if (!packet) continue
    digits.push(packet.code.length)
    const members = suspects.get(packet.code) ?? []
    hits.one.push(Math.min(1, 1 / members.length))
    hits.ten.push(Math.min(1, 10 / members.length))
    hits.tagged.push(1 / members.filter(index => entries[index]?.tag === entries[target]?.tag).length)

    const decoded = decode(space, packet.code)
    const likeness = (index: number) => similarity((entries[index] as Entry).table, decoded)
    const whole = cells.get(packet.code.slice(0, 2)) ?? []
    const score = (index: number) => (told[index] === packet.code ? 2 : 0) + likeness(index)
    push(aucs.cell, truthAuc(whole.map(score), whole.indexOf(target)))
    const among = whole.filter(index => hidden[index] === hidden[target])
    push(aucs.within, truthAuc(among.map(score), among.indexOf(target)))
    const sure = packet.confidence
    const near = (index: number) => (sure === undefined ? 0 : -Math.abs((confidence[index] as number) - sure))
    push(aucs.knowing, truthAuc(among.map(near), among.indexOf(target)))
  }
  for (const [asked, target] of popularTargets.entries()) {
    const packet = await tell(target, `popular-${asked}`)
    if (!packet) continue
    const members = suspects.get(packet.code) ?? []
    const known = members.map(index => popularity[index] as number)
    hits.popular.push(hitChance(known, members.indexOf(target), 1))
  }
  const most = Math.max(...popularity)
  return {
    left: digits.length / targets.length,
    digits: mean(digits),
    top1: mean(hits.one),
    top10: mean(hits.ten),
    top1_popular: mean(hits.popular),
    top1_popularity_alone: most / popularity.reduce((sum, weight) => sum + weight, 0),
    top1_tagged: mean(hits.tagged),
    within_cell_auc: meanOrNull(aucs.within),
    auc_in_whole_cell: mean(aucs.cell),
    auc_knowing_confidence: meanOrNull(aucs.knowing),
  }
}

/** The prefix that the profile promises to hide a text in: at least k reference texts share it; for `open`, standard's. */
export function promised(space: Space, name: ProfileName, code: string): string {
  return disclosedCode(space, profiles[name].k > 1 ? profiles[name] : profiles.standard, code) ?? ''
}

/** Zipf's law over texts in random order. */
export function zipf(order: readonly number[]): number[] {
  const weights = new Array<number>(order.length)
  order.forEach((index, rank) => {
    weights[index] = 1 / (rank + 1)
  })
  return weights
}

/** Indices drawn by weight. */
export function drawByWeight(weights: readonly number[], count: number, random: Random): number[] {
  const sums: number[] = []
  let total = 0
  for (const weight of weights) {
    total += weight
    sums.push(total)
  }
  return Array.from({ length: count }, () => {
    const at = random() * total
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) > at) high = middle
      else low = middle + 1
    }
    return low
  })
}

function push(list: number[], value: number | undefined): void {
  if (value !== undefined) list.push(value)
}

const meanOrNull = (values: readonly number[]) => (values.length === 0 ? null : mean(values))
